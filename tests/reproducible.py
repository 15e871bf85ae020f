"""Two clean builds of the book give the same pages and the same text outputs.

    python tests/reproducible.py        builds the whole book twice, in two folders, and compares

What may differ is what is tagged as a measured cost (class ``costo``) or as an output that is not
compared (``nbval-ignore-output``), and the numbers pasted in the text: they are compared where the
chapter computes them, among the outputs of its notebook.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup

ROOT = Path(__file__).parent.parent
MEASURED = ".costo, .tag_nbval-ignore-output .cell_output, .pasted-text"


def lasting(path):
    """What a file of the site must have in every build, as a list."""
    if path.suffix == ".html":
        text = re.sub(r"\?v=[0-9a-f]+", "", path.read_text("utf8"))  # sum of a file compared by itself
        soup = BeautifulSoup(text, "html.parser")
        for tag in soup.select(MEASURED):
            tag.decompose()
        return str(soup).splitlines()
    if path.suffix == ".ipynb":
        cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        return [
            json.dumps(cell) for cell in cells if "nbval-ignore-output" not in cell.metadata.get("tags", [])
        ]
    if path.name == "searchindex.js":  # its numbers may be measured; a term of no page is an old one
        index = json.loads(path.read_text("utf8").removeprefix("Search.setIndex(").removesuffix(")"))
        return [
            f"{key}: {value}" for part in index.values() if isinstance(part, dict)
            for key, value in part.items() if value != [] and not re.search(r"\d", key)
        ]
    return path.read_bytes().splitlines()


def differences(one, other):
    """Where two sites differ, as 'file:line: one | other'; figures are named by their content."""
    names = [
        {p.relative_to(site) for p in site.rglob("*") if p.is_file() and "_images" not in p.parts}
        for site in (one, other)
    ]
    found = [f"{name}: está en uno solo de los sitios" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        a, b = lasting(one / name), lasting(other / name)
        if a != b:
            line = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            found.append(f"{name}:{line + 1}: {str(a[line:][:1])[:300]} | {str(b[line:][:1])[:300]}")
    return found


def main():
    """Build a copy of what git keeps, twice, with nothing executed beforehand."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / "una", Path(folder) / "otra"]
        for copy in copies:  # both before the first build: the sources may change meanwhile
            for name in filter(None, files.decode().split("\0")):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n", "--keep-going"]
        for copy in copies:
            subprocess.run(command, cwd=copy, check=True)
        found = differences(*(copy / "_build/html" for copy in copies))
    print("\n".join(found) or "Las dos construcciones son iguales.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
