"""Hold the rules of CONTRIBUTING.md that a program can hold; run it to list what breaks them.

    python tests/chapter_rules.py [book/NN-name.md ...]
"""

import ast
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "web"))

from execution import cell_line, load  # noqa: E402

IMPORTS = {"torch", "numpy", "matplotlib", "sklearn", "IPython", *sys.stdlib_module_names}
FORBIDDEN = {
    r"import \*": "import *",
    r"pip install": "instala paquetes",
    r"filterwarnings\(.ignore": "calla las advertencias",
    r"assert True\b": "aserto que no puede fallar",
    r"\burllib\b|\brequests\b|https?://": "usa la red",
    r"\bopen\(|read_text\(|np\.load\w*\(|\.\./": "lee un archivo",
    r"\bloss\d\b": "pérdida sin nombre",
    r"plt\.style|rcParams": "estilo de figuras en el capítulo",
    r"np\.random\.(?!default_rng|Generator)|default_rng\(\)|(?<![.\w])random\.[a-z]\w*\(": "azar sin generador sembrado",
    r"\.set_title\(|suptitle\(|plt\.title\(|set\([^)]*title=": "título dentro de los ejes",
}


def chapters(root=ROOT):
    """Paths of the chapters and appendices: every page of book/ but the template."""
    return sorted(p for p in (root / "book").glob("*.md") if not p.name.startswith("_"))


def code_cells(path):
    """Yield (line above the first code line, cell) of a chapter."""
    source, notebook = load(path)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield cell_line(notebook, index, source), cell


def tags(cell):
    return set(cell.metadata.get("tags", []))


def asserts(cell):
    """Number of checks in a cell: assert statements and calls of numpy's or torch's asserts."""
    nodes = list(ast.walk(ast.parse(cell.source)))
    calls = [ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call)]
    return sum(isinstance(n, ast.Assert) for n in nodes) + sum(
        "assert_close" in name or "assert_allclose" in name or "assert_array" in name
        for name in calls
    )


def code_problems(cells):
    """Yield (line, message) for the rules that look at one cell."""
    for number, (line, cell) in enumerate(cells):
        lines = cell.source.splitlines()
        limit = 12 if number == 0 else 40
        if len(lines) > limit:
            yield line + 1, f"celda de {len(lines)} líneas: el límite es {limit}"
        for k, text in enumerate(lines, 1):
            if len(text) > 88 and "remove-cell" not in tags(cell):
                yield line + k, f"línea de {len(text)} caracteres: el límite es 88"
            for pattern, why in FORBIDDEN.items():
                if re.search(pattern, text):
                    yield line + k, f"prohibido ({why}): {text.strip()}"
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] not in IMPORTS:
                    yield line + node.lineno, f"import fuera de la lista: {name}"
            panels = isinstance(node, ast.Call) and ast.unparse(node.func) == "plt.subplots" and node.args
            if panels and "layout" not in {keyword.arg for keyword in node.keywords}:
                yield line + node.lineno, 'paneles sin layout="constrained": en Colab se pisarían'
            if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant | ast.Tuple):
                yield line + node.lineno, "aserto que no puede fallar"
        figure = cell.metadata.get("mystnb", {})
        shows = "plt.show(" in cell.source
        for key in ("image.alt", "figure.name", "figure.caption"):
            group, field = key.split(".")
            if shows and not figure.get(group, {}).get(field):
                yield line + 1, f"figura sin {key} en los metadatos de la celda"
        if "nbval-ignore-output" in tags(cell) and not asserts(cell):
            yield line + 1, "salida sin comparar (nbval-ignore-output) y sin aserto"


def exercise_problems(source, cells):
    """Yield (line, message): each exercise has its four cells, in order, and two wrong answers."""
    order = ["exercise", "check", "solution", "exercise-test"]
    titles = [
        (n, int(m[1]))
        for n, text in enumerate(source.splitlines(), 1)
        if (m := re.match(r"### Ejercicio (\d+)\. ", text))
    ]
    if not 4 <= len(titles) <= 8:
        yield 1, f"tiene {len(titles)} ejercicios: deben ser de 4 a 8"
    for position, (start, number) in enumerate(titles):
        end = titles[position + 1][0] if position + 1 < len(titles) else len(source)
        if number != position + 1:
            yield start, f"ejercicio {number}: le toca el número {position + 1}"
        own = [(t, cell) for line, cell in cells if start < line < end for t in order if t in tags(cell)]
        if [t for t, _ in own] != order:
            yield start, f"celdas del ejercicio: {[t for t, _ in own]}; deben ser {order}"
            continue
        test = own[-1][1].source
        if f"check_{number}(" not in test or test.count(" in check_") < 2:
            yield start, "la celda exercise-test no prueba la solución y dos respuestas equivocadas"
        if "hide-cell" not in tags(own[2][1]) or "remove-cell" not in tags(own[3][1]):
            yield start, "solution lleva hide-cell y exercise-test lleva remove-cell"


def chapter_problems(path, toc):
    """All that is wrong in one chapter, as 'file:line: message'."""
    source, _ = load(path)
    found = []
    if f"book/{path.stem}" not in toc:
        found.append((1, "no está en _toc.yml"))
    if not source.startswith("---\n") or "format_name: myst" not in source:
        return [f"{path}:{line}: {message}" for line, message in found]  # a page without code
    cells = list(code_cells(path))
    for line, cell in cells:
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            return [f"{path}:{line + error.lineno}: {error.msg}"]
    found += code_problems(cells)
    if re.search(r"^ *format_version|jupytext_version", source, re.M):
        found.append((1, "el encabezado lleva una versión, que cambia sola: quitarla"))
    if not re.search(r"^\(cap-[a-z-]+\)=$", source, re.M):
        found.append((1, "falta la etiqueta (cap-...)="))
    unseeded = re.search(r"\btorch\.rand\w*\(", source)
    if unseeded and "manual_seed(" not in source:
        line = source[: unseeded.start()].count("\n") + 1
        found.append((line, "azar de torch sin sembrar: falta torch.manual_seed"))
    if ":::{apertura}" not in source:
        found.append((1, "falta la apertura"))
    if "## Resumen" not in source:
        found.append((1, "falta el resumen"))
    if not sum(asserts(cell) for _, cell in cells):
        found.append((1, "el capítulo no comprueba nada: no tiene asertos"))
    found += exercise_problems(source, cells)
    return [f"{path}:{line}: {message}" for line, message in sorted(found)]


def shared_function_problems(paths):
    """A function with the same name and docstring in two chapters must be the same throughout."""
    seen, found = {}, []
    for path in paths:
        for line, cell in code_cells(path):
            try:
                body = ast.parse(cell.source).body
            except SyntaxError:
                continue  # reported by chapter_problems
            for node in body:
                doc = isinstance(node, ast.FunctionDef) and ast.get_docstring(node)
                if not doc:
                    continue
                text = ast.get_source_segment(cell.source, node)
                first, original = seen.setdefault((node.name, doc), (path, text))
                if original != text:
                    found.append(f"{path}:{line + node.lineno}: {node.name} difiere de {first}")
    return found


def toc_entries(root=ROOT):
    """Document names in _toc.yml, in order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


def problems(root=ROOT):
    """Everything that is wrong in the book's sources."""
    toc, paths = toc_entries(root), chapters(root)
    found = [f"{root}/_toc.yml: falta el archivo {e}.md" for e in toc if not (root / f"{e}.md").exists()]
    for path in paths:
        found += chapter_problems(path, toc)
    template = root / "book" / "_plantilla.md"
    return found + shared_function_problems([p for p in (template, *paths) if p.exists()])


if __name__ == "__main__":
    listed = problems()
    print("\n".join(listed) or "Todos los capítulos cumplen las reglas.")
    sys.exit(bool(listed))
