"""What the book needs from others: pinned with its reason, and under a licence that allows it.

    python tests/supply.py        lists each package installed, its version and its licence
"""

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent


def locked(root=ROOT):
    """Version of each package of requirements.lock."""
    text = (root / "requirements.lock").read_text("utf8")
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.M))


def requirement_problems(root=ROOT):
    """What is wrong in requirements.txt, as 'file:line: message'."""
    path, lock, found = root / "requirements.txt", locked(root), []
    for number, text in enumerate(path.read_text("utf8").splitlines(), 1):
        if not text or text.startswith("#"):
            continue
        pin = re.fullmatch(r"([\w.-]+)==(\S+) +# .+", text)
        if not pin:
            found.append(f"{path}:{number}: sin versión exacta o sin su razón: {text}")
        elif pin[1] != "torch" and lock.get(pin[1]) != pin[2]:
            found.append(f"{path}:{number}: requirements.lock tiene {lock.get(pin[1])}: make lock")
    return found


ALLOWED = {
    "0BSD", "Apache 2.0", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Apache Software License",
    "BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC License (ISCL)", "MIT",
    "MIT License", "MIT-CMU", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0",
    "Python Software Foundation License", "Public Domain", "Zlib",
}
READ = {  # what the metadata do not say, read in the package's own licence file
    "axe-playwright-python": "MIT",
    "docutils": "Public Domain",  # sus metadatos suman la GPL de un modo de Emacs que no se usa
    "pypdfium2": "Apache-2.0, BSD-3-Clause",  # «dependency licenses»: zlib, libpng, FreeType…, permisivas
}


def licences():
    """Yield (name, version, set of licences) of each package installed."""
    for package in sorted(distributions(), key=lambda d: d.name.lower()):
        facts = package.metadata
        named = [c.split(" :: ")[-1] for c in facts.get_all("Classifier", []) if c.startswith("License")]
        text = READ.get(package.name) or facts.get("License-Expression") or ", ".join(named)
        yield package.name, package.version, set(
            re.split(r" AND | OR |, ", text or facts.get("License") or "sin licencia")
        )


def licence_problems():
    return [f"{name} {version}: licencia fuera de la lista: {', '.join(sorted(found - ALLOWED))}"
            for name, version, found in licences() if found - ALLOWED]


if __name__ == "__main__":
    for name, version, found in licences():
        print(f"{name} {version}: {', '.join(sorted(found))}")
    listed = requirement_problems() + licence_problems()
    sys.exit("\n".join(listed) or None)
