"""A small book with the real configuration, broken in one way at a time: the build must say so.

Each fault gives the file, the line and the reason, and a non-zero exit; a fault found before
writing leaves no page behind.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chapter_rules import ROOT

BIN = Path(sys.executable).parent
CHAPTER = "book/01-muestra.md"


@pytest.fixture
def book(tmp_path):
    """A book whose only chapter is the template, with this book's configuration and extensions."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copy(ROOT / "references.bib", tmp_path)
    (tmp_path / "web").symlink_to(ROOT / "web")
    (tmp_path / "figs").symlink_to(ROOT / "figs")
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "_plantilla.md", tmp_path / CHAPTER)
    (tmp_path / "book" / "index.md").write_text("# Inicio\n\nVer {ref}`cap-plantilla`.\n", "utf8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n  - caption: Parte\n    numbered: 1\n"
        "    chapters:\n      - file: book/01-muestra\n",
        "utf8",
    )
    return tmp_path


def build(book):
    command = [BIN / "jupyter-book", "build", ".", "-W", "-n", "--keep-going"]
    done = subprocess.run(
        command, cwd=book, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf8"
    )
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def insert(book, text):
    """Put text on a line of its own before the chapter's second section; return its line."""
    path = book / CHAPTER
    source = path.read_text("utf8")
    start = source.index("## Ejercicios")
    path.write_text(source[:start] + text + "\n\n" + source[start:], "utf8")
    return source[:start].count("\n") + 1


def cell(code, options=""):
    return f"```{{code-cell}} ipython3\n{options}{code}\n```"


# name: (text put in the chapter, offset of the faulty line in it, message)
FAULTS = {
    "failing cell": (cell("y = 1\nundefined"), 2, "NameError: name 'undefined' is not defined"),
    "warning cell": (cell("import warnings\nwarnings.warn('cuidado')"), 1, "cuidado"),
    "dead kernel": (
        cell("import faulthandler, os\nfaulthandler.enable()\nos.abort()"), 1, "Fatal Python error: Aborted"),
    "file of the repository": (cell("open('references.bib')"), 1, "FileNotFoundError"),
    "unknown reference": ("Ver {ref}`nadie`.", 0, "nadie"),
    "unknown numbered figure": ("Ver {numref}`fig-nadie`.", 0, "fig-nadie"),
    "unknown equation": ("Ver {eq}`eq-nadie`.", 0, "eq-nadie"),
    "unknown citation": ("Según {cite:p}`nadie1900`.", 0, "nadie1900"),
    "unknown term": ("El {term}`cuasitensor`.", 0, "cuasitensor"),
    "unknown number": ("Vale {glue:text}`nada`.", 0, "nada"),
    "broken link": ("[ver](no-existe.md)", 0, "no-existe.md"),
    "missing image": ("```{image} ../figs/no-existe.svg\n:alt: nada\n```", 0, "no-existe.svg"),
    "image without alt": ("```{image} ../figs/logo.svg\n```", 0, "sin texto alternativo"),
    "figure without alt": (
        cell("plt.plot(x, U)\nplt.show()"), 0, "sin texto alternativo"),
    "sequence without alt": (":::{pasos} nadie 3\nLeyenda.\n:::", 0, "la directiva pasos necesita alt"),
    "duplicate label": ("(cap-plantilla)=\n### Otra vez", 0, "cap-plantilla"),
    "LaTeX error": ("La fórmula $\\fraq{1}{2}$.", 0, "\\fraq"),
    "unknown directive": (":::{nodirectiva}\n:::", 0, "nodirectiva"),
}
STOPS_BEFORE_WRITING = {
    "failing cell", "warning cell", "dead kernel", "file of the repository", "LaTeX error"
}


def test_the_sample_book_builds(book):
    insert(book, "### Un título con $x^2$\n\n:::{pasos} nadie 0\n:alt: nada\nNada.\n:::")
    code, log = build(book)
    assert code == 0, log
    assert "ejecutado book/01-muestra en" in log
    html = (book / "_build/html/book/01-muestra.html").read_text("utf8")
    assert "7.35" in html and "s de CPU" in html
    code, log = build(book)
    assert code == 0 and "ejecutado" not in log, "la segunda vez no ejecuta nada"


@pytest.mark.parametrize("name", FAULTS)
def test_fault(book, name):
    text, offset, message = FAULTS[name]
    line = insert(book, text)
    code, log = build(book)
    assert code != 0, log
    assert message in log, log
    assert "Traceback" not in log.split(message)[0], log
    if offset is not None:
        assert re.search(rf"01-muestra\.md:{line + offset}\b", log), (line + offset, log)
    if name in STOPS_BEFORE_WRITING:
        assert not (book / "_build/html/book/01-muestra.html").exists()


def test_a_changed_output_fails(book):
    code, log = build(book)
    assert code == 0, log
    path = book / "_build/html/notebooks/01-muestra.ipynb"
    notebook = json.loads(path.read_text("utf8"))
    changed = 0
    for output in (o for c in notebook["cells"] for o in c.get("outputs", [])):
        if "mínimo en x" in "".join(output.get("text", "")):
            output["text"] = "mínimo en x = 3.14 m\n"
            changed += 1
    assert changed == 1
    path.write_text(json.dumps(notebook), "utf8")
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "no:xdist", "-c", "/dev/null", path]
    done = subprocess.run(
        command, cwd=path.parent, stdout=subprocess.PIPE, encoding="utf8", env=os.environ
    )
    assert done.returncode == 1, done.stdout
    assert "3.14" in done.stdout and "01-muestra.ipynb" in done.stdout
    assert "1 failed" in done.stdout
