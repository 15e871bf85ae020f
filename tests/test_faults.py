"""A small book with the real configuration, broken in one way at a time: the build must say so.

Each fault gives the file, the line, the reason and a non-zero exit. None leaves a site that looks
right, and none changes a source file. To add a fault, add a line to FAULTS.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from chapter_rules import ROOT, problems
from reproducible import differences
from supply import requirement_problems
from test_pages import english

BIN = Path(sys.executable).parent
CHAPTER = "book/01-muestra.md"
TARGET = "book/02-azar.md"  # where the faults go: the quickest to execute
WORKS = "book/bibliografia.md"
BUILD = [BIN / "jupyter-book", "build", ".", "-W", "-n", "--keep-going"]

TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Parte
    numbered: 1
    chapters:
"""
BIBLIOGRAPHY = "# Bibliografía\n\n```{bibliography}\n```\n"
RANDOM = """\
(cap-azar)=
# El azar

Viene de {ref}`cap-plantilla` y sigue a {cite:t}`griewank2008`.

```{code-cell} ipython3
import random, time
import numpy as np
rng = random.Random(0)
print("en dos partes", flush=True)
time.sleep(0.2)
print(rng.random(), {name: len(name) for name in ("uno", "cuatro")})
```

## Ejercicios
"""
TIME = """\
(cap-tiempo)=
# El tiempo

:::{apertura}
- **Medir** un tiempo.
:::

```{code-cell} ipython3
:tags: [nbval-ignore-output]

import time
print(time.time())
```
"""


def make(book, *chapters):
    """A book with these chapters, and this book's configuration and extensions."""
    for name in ("_config.yml", "references.bib", "requirements.txt", "requirements.lock"):
        shutil.copy(ROOT / name, book)
    (book / "web").symlink_to(ROOT / "web")
    shutil.copytree(ROOT / "figs", book / "figs")
    (book / "book").mkdir()
    template = (ROOT / "book/_plantilla.md").read_text("utf8")
    header = template[: template.index("(cap-plantilla)=")]
    texts = {CHAPTER: template, TARGET: header + RANDOM, "book/03-tiempo.md": header + TIME, WORKS: BIBLIOGRAPHY}
    (book / "_toc.yml").write_text(TOC + "".join(f"      - file: {c.removesuffix('.md')}\n" for c in chapters), "utf8")
    (book / "book/index.md").write_text("# Inicio\n\nVer {ref}`cap-plantilla`.\n", "utf8")
    for name in chapters:
        (book / name).write_text(texts[name], "utf8")
    return book


@pytest.fixture
def book(tmp_path):
    """A book whose only chapter is the template, with nothing executed."""
    return make(tmp_path, CHAPTER)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A book of three chapters and its site, which nothing breaks."""
    book = make(tmp_path_factory.mktemp("base"), CHAPTER, TARGET, "book/03-tiempo.md", WORKS)
    status, log = build(book)
    assert status == 0, log
    (book / "log").write_text(log, "utf8")
    return book


@pytest.fixture
def small(base, tmp_path):
    """The same book with its chapters executed, and no site yet: the one to break."""
    built = shutil.ignore_patterns("html", ".doctrees", "jupyter_execute")
    return Path(shutil.copytree(base, tmp_path / "libro", symlinks=True, ignore=built))


def run(command, folder, before=""):
    done = subprocess.run(
        ["bash", "-c", f'{before} exec "$@"', "bash", *command], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf8",
    )
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def build(book, before=""):
    return run(BUILD, book, before)


def rules(book):
    found = problems(book) + requirement_problems(book)
    return len(found), "\n".join(found)


def interface(book):
    """Look for English in the site of a book that builds."""
    status, log = build(book)
    assert status == 0, log
    found = [
        f"{page}: texto en inglés: {words}" for page in sorted(book.glob("_build/html/book/*.html"))
        if (words := english(BeautifulSoup(page.read_text("utf8"), "html.parser")))
    ]
    return len(found), "\n".join(found)


def rerun(book):
    """Compare the outputs of the target's notebook with those of a new execution."""
    notebook = book / "_build/html/notebooks/02-azar.ipynb"
    if not notebook.exists():
        status, log = build(book)
        assert status == 0, log
    return run(
        [sys.executable, "-m", "pytest", "--nbval", "-p", "no:xdist", "-p", "no:cacheprovider",
         "-c", "/dev/null", notebook.name], notebook.parent)


def cell(code, options=""):
    return f"```{{code-cell}} ipython3\n{options}{code}\n```"


def insert(book, text, name=CHAPTER):
    """Put text on a line of its own before the chapter's last section; return its line."""
    source = (book / name).read_text("utf8")
    start = source.index("## Ejercicios")
    (book / name).write_text(f"{source[:start]}{text}\n\n{source[start:]}", "utf8")
    return source[:start].count("\n") + 1


# Each of these returns what breaks a book and says where the message must point.


def put(text, offset=0, place="{file}:{line}"):
    """Put text in the target; the fault is ``offset`` lines below its start."""
    return lambda book: place.format(file=TARGET, line=insert(book, text, TARGET) + offset)


def edit(name, old, new, place="{file}:{line}"):
    def fault(book):
        source = (book / name).read_text("utf8")
        assert old in source
        (book / name).write_text(source.replace(old, new, 1), "utf8")
        return place.format(file=name, line=source[: source.index(old)].count("\n") + 1)
    return fault


def write(name, content, then):
    def fault(book):
        (book / name).write_bytes(content)
        return then(book)
    return fault


def both(first, then):
    return lambda book: (first(book), then(book))[1]


SHORT = edit("_config.yml", "timeout: 300", "timeout: 3")
MEMORY = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\nx = bytearray(2**31)"
IMAGE = "```{{image}} ../figs/{}\n:alt: nada\n```"

# name: (what breaks the book, message, what must notice: the build if it does not say)
FAULTS = {
    "failing cell": (put(cell("y = 1\nundefined"), 2), "NameError: name 'undefined' is not defined"),
    "cell options that are not YAML": (
        put("```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: uno: dos\n---\n1\n```"), "las opciones de la celda no son YAML"),
    "warning cell": (put(cell("import warnings\nwarnings.warn('cuidado')"), 1), "cuidado"),
    "endless cell": (both(SHORT, put(cell("while True:\n    pass"), 1)), "la celda no terminó en 3 s"),
    "too much memory": (put(cell(MEMORY), 3), "MemoryError"),
    "killed kernel": (put(cell("import os\nos.kill(os.getpid(), 9)"), 1), "al sistema le faltó memoria"),
    "crashed kernel": (
        put(cell("import faulthandler, os\nfaulthandler.enable()\nos.abort()"), 1), "Fatal Python error: Aborted"),
    "file of the repository": (put(cell("open('references.bib')"), 1), "FileNotFoundError"),
    "file of the repository, by the rules": (put(cell("open('x.csv')"), 1), "lee un archivo", rules),
    "import outside the list": (put(cell("import pandas"), 1), "import fuera de la lista: pandas", rules),
    "unseeded": (put(cell("np.random.rand()"), 1), "azar sin generador sembrado", rules),
    "unseeded generator": (put(cell("np.random.default_rng()"), 1), "azar sin generador sembrado", rules),
    "unseeded torch": (put(cell("torch.rand(2)"), 1), "azar de torch sin sembrar", rules),
    "unseeded, by its outputs": (
        put(cell("print(random.Random().random())"), place="02-azar.ipynb::Cell 1"), "Cell outputs differ", rerun),
    "unknown reference": (put("Ver {ref}`nadie`."), "nadie"),
    "unknown numbered figure": (put("Ver {numref}`fig-nadie`."), "fig-nadie"),
    "unknown equation": (put("Ver {eq}`eq-nadie`."), "eq-nadie"),
    "unknown citation": (put("Según {cite:p}`nadie1900`."), "nadie1900"),
    "unknown term": (put("El {term}`cuasitensor`."), "cuasitensor"),
    "unknown number": (put("Vale {glue:text}`nada`."), "nada"),
    "broken link": (put("[ver](no-existe.md)"), "no-existe.md"),
    "missing image": (put(IMAGE.format("no-existe.svg")), "no-existe.svg"),
    "unreadable drawing": (
        write("figs/mala.svg", b"<svg><g></svg>", put(IMAGE.format("mala.svg"))), "la imagen no se puede leer"),
    "unreadable picture": (
        write("figs/mala.png", b"\x89PNG", put(IMAGE.format("mala.png"))), "la imagen no se puede leer"),
    "image without alt": (put("```{image} ../figs/logo.svg\n```"), "sin texto alternativo"),
    "figure without alt": (
        put(cell("import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()")), "sin texto alternativo"),
    "sequence without alt": (put(":::{pasos} nadie 3\nLeyenda.\n:::"), "la directiva pasos necesita alt"),
    "duplicate label": (put("(cap-plantilla)=\n### Otra vez", 1), "cap-plantilla"),
    "LaTeX error": (put("La fórmula $\\fraq{1}{2}$."), "\\fraq"),
    "unknown directive": (put(":::{nodirectiva}\n:::"), "nodirectiva"),
    "third-party script": (
        put('<script src="https://cdn.example/x.js"></script>'), "pide https://cdn.example/x.js a otro sitio"),
    "image of another site": (put("![curva](https://example.org/a.png)"), "pide https://example.org/a.png"),
    "style of another site": (
        put("<link rel='stylesheet' href='//example.org/a.css'>"), "pide //example.org/a.css"),
    "request from an output": (
        put(cell("from IPython.display import HTML\nHTML('<img alt=\"a\" src=https://example.org/a.png>')"), 2),
        "pide https://example.org/a.png"),
    "script by configuration": (
        edit("_config.yml", "[[book.js, {defer: defer}]]", "[https://cdn.example/x.js]", "search.html"),
        "pide https://cdn.example/x.js"),
    "English interface": (
        edit("_config.yml", "language: es", "language: en", "02-azar.html"), "texto en inglés", interface),
    "English string": (
        edit("_config.yml", "toc_title: En esta página", "toc_title: On this page", "02-azar.html"),
        "texto en inglés: ['On this page'", interface),
    "toc that is not YAML": (edit("_toc.yml", "parts:", "parts: [", '_toc.yml", line'), "ParserError"),
    "toc with an unknown key": (edit("_toc.yml", "parts:", "partes:", "_toc.yml"), "Unknown keys found: {'partes'}"),
    "circular toc": (
        edit("_toc.yml", "book/02-azar", "book/index", "_toc.yml"), "used multiple times: 'book/index'"),
    "chapter that is not there": (edit("_toc.yml", "book/02-azar", "book/02-nada", "index.md"), "book/02-nada"),
    "chapter out of the toc": (
        write("book/04-suelto.md", b"# Suelto\n", lambda book: "book/04-suelto.md:1"), "no está en _toc.yml", rules),
    "configuration that is not YAML": (edit("_config.yml", "html:", "html: [", "_config.yml"), ", line 19, column"),
    "value of the wrong type": (edit("_config.yml", "timeout: 300", "timeout: mucho"), "'mucho' is not of type"),
    "unknown key": (edit("_config.yml", "run_in_temp", "run_in_tmp"), "'run_in_tmp' was unexpected"),
    "unknown key of Sphinx": (
        edit("_config.yml", "html_use_index", "html_user_index", "WARNING"), "unknown config value 'html_user_index'"),
    "not UTF-8": (
        lambda book: write(TARGET, (book / TARGET).read_bytes().replace(b"# El azar", b"# El az\xe1r"),
                           lambda book: f"{TARGET}:13")(book), "el archivo no está en UTF-8"),
    "unpinned requirement": (edit("requirements.txt", "nbval==0.11.0", "nbval"), "sin versión exacta", rules),
    "requirement without a reason": (
        edit("requirements.txt", "# vuelve a ejecutar", ""), "sin versión exacta o sin su razón", rules),
    "requirement that the lock has not": (
        edit("requirements.txt", "nbval==0.11.0", "nbval==0.12.0"), "requirements.lock tiene 0.11.0", rules),
}


def sources(book):
    return {p: p.read_bytes() for p in book.rglob("*") if p.is_file() and "_build" not in p.parts}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(base, small, name):
    fault, message, check = (*FAULTS[name], build)[:3]
    before = (base / "log").read_text("utf8") if check is build else check(base)[1]
    assert message not in before, "el libro sin falla dice lo mismo"
    place = fault(small)
    broken = sources(small)
    status, log = check(small)
    assert status != 0, log
    assert message in log, log
    assert re.search(rf"{re.escape(place)}(?!\d)", log), (place, log)
    assert sources(small) == broken
    if check is build:
        site = small / "_build/html"
        assert not list(site.rglob("0*.html")) or (small / "_build/.doctrees/state").exists()
        if "No se escribió ninguna página" in log:
            assert not list(site.rglob("*.html"))


def same(small, base):
    """Build, and find no difference with the site of the book that nothing ever broke."""
    status, log = build(small)
    assert status == 0, log
    found = differences(small / "_build/html", base / "_build/html")
    assert not found, found
    return log


def test_the_sample_book_builds_anywhere_and_twice_the_same(base, tmp_path):
    """With nothing executed beforehand, in a folder whose path has spaces and accents."""
    folder = tmp_path / "año 2 «física»"
    shutil.copytree(base, folder, symlinks=True, ignore=shutil.ignore_patterns("_build"))
    log = same(folder, base)
    assert "ejecutado book/01-muestra en" in log
    html = (folder / "_build/html/book/01-muestra.html").read_text("utf8")
    assert "7.35" in html and "s de CPU" in html
    assert "ejecutado" not in same(folder, base), "la segunda vez no ejecuta nada"


def test_what_must_not_differ_is_compared(base, tmp_path):
    site = Path(shutil.copytree(base / "_build/html", tmp_path / "html"))
    for name, old, new in (
        ("book/01-muestra.html", "El mínimo está en", "El máximo está en"),
        ("notebooks/02-azar.ipynb", "0.844", "0.845"),
        ("searchindex.js", "azar", "asar"),
        ("objects.inv", "", "x"),
    ):
        path = site / name
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    (site / "book/index.html").unlink()
    assert {d.split(":")[0] for d in differences(site, base / "_build/html")} == {
        "book/01-muestra.html", "notebooks/02-azar.ipynb", "searchindex.js", "objects.inv", "book/index.html"}


def test_windows_line_ends(small, base):
    for path in (*small.glob("book/*.md"), *small.glob("*.yml"), small / "references.bib"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    same(small, base)


@pytest.mark.parametrize("damage", [lambda index: index[: len(index) // 2], lambda index: b"hola" * 4096])
def test_damaged_index_of_executions(small, base, damage):
    """test_cache.py damages the executions themselves."""
    (path,) = small.glob("_build/.jupyter_cache/*/global.db")
    path.write_bytes(damage(path.read_bytes()))
    assert "ejecutado book/01-muestra" in same(small, base)


@pytest.mark.parametrize("limit", [1, 100])
def test_no_room_to_write(small, base, limit):
    broken = sources(small)
    status, log = build(small, f"ulimit -f {limit};")
    assert status != 0 and "No hay lugar para escribir" in log, log
    assert sources(small) == broken
    same(small, base)


def start(book):
    return subprocess.Popen(
        BUILD, cwd=book, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf8",
        env=os.environ | {"PYTHONUNBUFFERED": "1"}, start_new_session=True,
    )


@pytest.mark.parametrize("attempt", range(3))
def test_killed_build(small, base, attempt):
    """Killed at a random moment, after a random line of its log; then it builds as if never killed."""
    shutil.rmtree(small / "_build")
    after = random.SystemRandom().randrange(20, len((base / "log").read_text("utf8").splitlines()) - 10)
    building = start(small)
    for _, line in zip(range(after), building.stdout):
        last = line
    os.killpg(building.pid, signal.SIGKILL)
    building.communicate()
    print(f"muerta en la línea {after} del registro: {last}")
    same(small, base)


def test_two_builds_at_once(small, base):
    put(cell("import time\ntime.sleep(8)"))(small)
    first = start(small)
    for line in first.stdout:
        if "ejecutando" in line:
            break
    status, log = build(small)
    assert status != 0 and f"Otra construcción está usando {small / '_build'}" in log, log
    log = first.communicate()[0]
    assert first.returncode == 0, log


def test_a_changed_output_fails(small):
    status, log = build(small)
    assert status == 0, log
    assert rerun(small)[0] == 0
    path = small / "_build/html/notebooks/02-azar.ipynb"
    notebook = json.loads(path.read_text("utf8"))
    (output,) = (o for c in notebook["cells"] for o in c.get("outputs", []))  # in one piece
    assert "0.844" in "".join(output["text"])
    output["text"] = "3.14\n"
    path.write_text(json.dumps(notebook), "utf8")
    status, log = rerun(small)
    assert status == 1 and "1 failed" in log and "3.14" in log and "02-azar.ipynb" in log, log
