"""The chapters keep the rules, and each rule catches what it is for, with file and line."""

import re
import shutil

import pytest
from chapter_rules import FORBIDDEN, ROOT, asserts, code_cells, problems, tags, toc_entries


def test_the_book_keeps_the_rules():
    assert problems() == []


def test_every_chapter_compares_and_checks(record_property):
    """Count, for each chapter, the cells whose outputs nbval compares and the asserts."""
    for entry in toc_entries():
        cells = [cell for _, cell in code_cells(ROOT / f"{entry}.md")]
        if not cells:
            continue
        compared = sum("nbval-ignore-output" not in tags(cell) for cell in cells)
        checks = sum(asserts(cell) for cell in cells)
        print(f"{entry}: {compared} celdas comparadas de {len(cells)}, {checks} asertos")
        assert compared >= len(cells) / 2, f"{entry}: casi todas sus salidas quedan sin comparar"
        assert checks >= 10, f"{entry}: solo {checks} asertos"


@pytest.fixture
def book(tmp_path):
    """A book with the template as its only chapter, plus what it takes to keep every rule."""
    (tmp_path / "book").mkdir()
    text = (ROOT / "book" / "_plantilla.md").read_text("utf8")
    start, end = text.index("### Ejercicio 1"), text.index("## Resumen")
    exercises = "".join(text[start:end].replace("Ejercicio 1", f"Ejercicio {n}").replace(
        "check_1(", f"check_{n}(") for n in range(1, 5))
    (tmp_path / "book" / "01-muestra.md").write_text(text[:start] + exercises + text[end:], "utf8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/01-muestra\nparts:\n  - caption: A\n    chapters: []\n", "utf8"
    )
    return tmp_path


FAULTS = {
    "long cell": ("x_min = x[", "y = 0\n" * 40 + "x_min = x[", "líneas: el límite es 40"),
    "long line": ("k, m, g = 2.0", "k, m, g  = " + "1 + " * 30 + "2.0", "caracteres: el límite es 88"),
    "star import": ("import numpy as np", "from numpy import *", "import *"),
    "foreign import": ("import numpy as np", "import pandas as np", "import fuera de la lista: pandas"),
    "reads a file": ("x_min = x[", "open('datos.txt')\nx_min = x[", "lee un archivo"),
    "unseeded": ("x_min = x[", "np.random.rand()\nx_min = x[", "azar sin generador"),
    "empty assert": ("x_min = x[", "assert 1\nx_min = x[", "aserto que no puede fallar"),
    "no alt": ("    alt: Parábola", "    old: Parábola", "figura sin image.alt"),
    "title": ("ax.plot(x, U)", "ax.plot(x, U)\nax.set_title('U')", "título dentro de los ejes"),
    "no hint": ('assert "falta el peso" in check_2', 'assert "" in str', "dos respuestas equivocadas"),
    "exercise order": ("### Ejercicio 3", "### Ejercicio 7", "le toca el número 3"),
    "no summary": ("## Resumen", "## Final", "falta el resumen"),
    "syntax": ("x_min = x[", "x_min = = x[", "invalid syntax"),
}


FORBIDDEN_LINES = [
    "from math import *",
    "!pip install torch",
    "warnings.filterwarnings('ignore')",
    "assert True",
    "page = requests.get(address)",
    "data = np.loadtxt(name)",
    "loss2 = loss",
    "plt.rcParams['font.size'] = 8",
    "z = np.random.normal()",
    "rng = np.random.default_rng()",
    "u = random.uniform(0, 1)",
    "ax.set_title('U')",
]


@pytest.mark.parametrize("line", FORBIDDEN_LINES)
def test_each_forbidden_line_is_found(line):
    assert sum(bool(re.search(pattern, line)) for pattern in FORBIDDEN) == 1


def test_every_forbidden_pattern_has_its_line():
    unseen = [p for p in FORBIDDEN if not any(re.search(p, line) for line in FORBIDDEN_LINES)]
    assert not unseen


def test_the_sample_keeps_the_rules(book):
    assert problems(book) == []


@pytest.mark.parametrize("name", FAULTS)
def test_each_rule_catches_its_fault(book, name):
    old, new, message = FAULTS[name]
    path = book / "book" / "01-muestra.md"
    text = path.read_text("utf8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf8")
    found = [p for p in problems(book) if message in p]
    assert found and found[0].startswith(f"{path}:"), problems(book)
    line = int(found[0].removeprefix(f"{path}:").split(":")[0])
    assert 1 <= line <= len(path.read_text("utf8").splitlines())


def test_a_cell_over_the_limit_is_named_by_its_line(book):
    path = book / "book" / "01-muestra.md"
    text = path.read_text("utf8").replace("ax.plot(x, U)", "ax.plot(x, U)\n" * 41)
    path.write_text(text, "utf8")
    (problem,) = problems(book)
    line = int(problem.split(":")[1])
    assert text.splitlines()[line - 1] == "fig, ax = plt.subplots()"


def test_a_chapter_out_of_the_toc(book):
    shutil.copy(book / "book" / "01-muestra.md", book / "book" / "02-suelto.md")
    assert any("02-suelto.md:1: no está en _toc.yml" in p for p in problems(book))


def test_a_toc_entry_without_file(book):
    toc = book / "_toc.yml"
    toc.write_text(toc.read_text("utf8").replace("[]", "[file: book/03-nadie]"), "utf8")
    assert any("falta el archivo book/03-nadie.md" in p for p in problems(book))


def test_an_ignored_output_needs_an_assert(book):
    path = book / "book" / "01-muestra.md"
    text = path.read_text("utf8")
    old = "```{code-cell} ipython3\nk, m, g"
    assert old in text
    text = text.replace(old, "```{code-cell} ipython3\n:tags: [nbval-ignore-output]\n\nk, m, g")
    text = text.replace("assert abs(x_min", "(abs(x_min").replace("<= 0.05", "<= 0.05)")
    path.write_text(text, "utf8")
    assert any("sin aserto" in p for p in problems(book))


def test_a_helper_that_differs_between_chapters(book):
    other = book / "book" / "02-otro.md"
    text = (book / "book" / "01-muestra.md").read_text("utf8")
    other.write_text(text.replace("prefix + mime: data", "prefix + mime: data, "), "utf8")
    assert any("glue difiere de" in p for p in problems(book))
