"""What a second build does: it executes again what changed and nothing else, and shows no stale page."""

import os
import re
import shutil
import signal
import subprocess
import time

import execution
import psutil
from chapter_rules import ROOT
from test_faults import BIN, CHAPTER, book, build, cell, insert  # noqa: F401: a fixture

PAGE = "_build/html/book/01-muestra.html"
CODE = 'print(f"mínimo en x = {x_min:.2f} m")'


def rebuild(book):
    """Build; return the chapters executed and the text of the sample page."""
    code, log = build(book)
    assert code == 0, log
    page = book / PAGE
    return re.findall(r"ejecutado book/(\S+) en", log), page.exists() and page.read_text("utf8")


def edit(book, old, new, path=CHAPTER):
    text = (book / path).read_text("utf8")
    assert old in text
    (book / path).write_text(text.replace(old, new), "utf8")


def add_chapter(book, name, text):
    (book / "book" / f"{name}.md").write_text(text, "utf8")
    with (book / "_toc.yml").open("a", encoding="utf8") as toc:
        toc.write(f"      - file: book/{name}\n")


def test_prose_never_executes(book):
    assert rebuild(book)[0] == ["01-muestra"]
    edit(book, "Primero la pregunta", "Antes que nada la pregunta")
    edit(book, "Energía del resorte con peso", "Energía del resorte cargado")
    edit(book, "alt: Parábola de la energía", "alt: Curva de la energía")
    executed, page = rebuild(book)
    assert executed == []
    for text in ("Antes que nada", "resorte cargado", "Curva de la energía"):
        assert text in page
    (book / CHAPTER).touch()
    assert rebuild(book)[0] == []
    (book / CHAPTER).rename(book / "book/02-otro-nombre.md")
    edit(book, "01-muestra", "02-otro-nombre", "_toc.yml")
    assert rebuild(book)[0] == []
    assert "mínimo en x" in (book / "_build/html/book/02-otro-nombre.html").read_text("utf8")


def test_code_always_executes(book):
    rebuild(book)
    backup = shutil.copy2(book / CHAPTER, book.parent / f"{book.name}-antes.md")
    edit(book, CODE, CODE.replace(":.2f", ":.3f"))
    executed, page = rebuild(book)
    assert executed == ["01-muestra"] and "mínimo en x = -7.400 m" in page
    os.replace(backup, book / CHAPTER)  # the old text, with its old date
    executed, page = rebuild(book)
    assert executed == [] and "mínimo en x = -7.40 m" in page, "lo de antes está en el caché"
    edit(book, CODE, CODE + "\n```\n\n```{code-cell} ipython3\nx_min = 0")
    assert rebuild(book)[0] == ["01-muestra"]
    edit(book, "x_min = 0\n```", "x_min = 0\nprint(2)\n```")
    edit(book, "ipython3\nx_min", "ipython3\n:tags: [hide-input]\n\nx_min")
    assert rebuild(book)[0] == ["01-muestra"]


def test_damaged_executions_are_no_executions(book):
    rebuild(book)
    (stored,) = book.glob("_build/.jupyter_cache/*/executed/*/base.ipynb")
    whole = stored.read_text("utf8")
    for damaged in (whole[: len(whole) // 2], "", whole.replace("linspace(-15", "linspace(-5"), None):
        stored.unlink() if damaged is None else stored.write_text(damaged, "utf8")
        edit(book, "Primero", "Al principio")
        executed, page = rebuild(book)
        assert executed == ["01-muestra"] and "mínimo en x = -7.40 m" in page
        edit(book, "Al principio", "Primero")
    rebuild(book)
    shutil.rmtree(book / "_build/.jupyter_cache")
    (book / PAGE).unlink()  # written again without being read
    executed, page = rebuild(book)
    assert executed == ["01-muestra"] and "mínimo en x = -7.40 m" in page


def test_chapters_with_the_same_code(book):
    header = (book / CHAPTER).read_text("utf8").partition("(cap-")[0]
    for name in ("02-uno", "03-otro"):
        add_chapter(book, name, f"{header}# Capítulo {name}\n\n{cell('print(6 * 7)')}\n")
    edit(book, "default: 90\n", "default: 90\n      book/03-otro: 180\n", "_config.yml")
    code, log = build(book)
    assert code == 0, log
    assert re.findall(r"ejecutando book/(\S+)", log)[0] == "03-otro", "el más costoso va primero"
    edit(book, "6 * 7", "6 * 9", "book/03-otro.md")
    assert rebuild(book)[0] == ["03-otro"]
    for name, output in (("02-uno", "42"), ("03-otro", "54")):
        assert f">{output}\n<" in (book / f"_build/html/book/{name}.html").read_text("utf8")


def test_an_environment_has_its_own_executions(monkeypatch, tmp_path):
    seen = {execution.fingerprint()}
    versions = execution.installed
    monkeypatch.setattr(execution, "installed", lambda *names: versions(*names) | {"numpy": "0"})
    seen.add(execution.fingerprint())
    monkeypatch.setattr(execution.platform, "python_version", lambda: "3.99.0")
    seen.add(execution.fingerprint())
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\n")
    monkeypatch.setattr(execution, "WEB", tmp_path)
    seen.add(execution.fingerprint())
    assert len(seen) == 4


def test_the_figure_style_and_the_programs_count(book):
    (book / "web").unlink()
    shutil.copytree(ROOT / "web", book / "web")
    rebuild(book)
    edit(book, "lines.linewidth: ", "lines.linewidth: 1", "web/matplotlibrc")
    assert rebuild(book)[0] == ["01-muestra"]
    edit(book, "Al terminar este capítulo podrás", "Después sabrás", "web/pages.py")
    executed, page = rebuild(book)
    assert executed == [] and "Después sabrás" in page
    edit(book, "max-width: 54rem", "max-width: 53rem", "web/static/book.css")
    assert rebuild(book)[0] == []
    assert "max-width: 53rem" in (book / "_build/html/_static/style.css").read_text("utf8")


def test_the_state_is_that_of_the_last_execution(book):
    def cells():
        page = (book / "_build/html/book/estado.html").read_text("utf8")
        return int(re.search(r"<table.*?01-muestra.*?<td[^>]*>\D*(\d+)", page, re.S)[1])

    (book / "tests").mkdir()
    (book / "tests/mutants.json").write_text("{}")  # if it is missing the page is always read again
    add_chapter(book, "estado", "# Estado\n\n```{estado}\n```\n")
    rebuild(book)
    before = cells()
    insert(book, "```{code-cell} ipython3\nx_min\n```")
    assert rebuild(book)[0] == ["01-muestra"] and cells() == before + 1


def test_a_build_killed_while_writing_leaves_no_stale_page(book):
    rebuild(book)
    edit(book, "Primero", "Al principio")
    command = [BIN / "jupyter-book", "build", "."]
    with subprocess.Popen(
        command, cwd=book, stdout=subprocess.PIPE, encoding="utf8", env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as killed:
        for line in killed.stdout:
            if "preparing documents" in line:
                killed.send_signal(signal.SIGKILL)
    (book / PAGE).write_text("<html>a medio escrib", "utf8")
    assert "Al principio" in rebuild(book)[1]


def test_building_twice_loses_no_warning(book):
    insert(book, "Ver {ref}`nadie`.")
    subprocess.run([BIN / "jupyter-book", "build", ".", "-n"], cwd=book, capture_output=True)
    edit(book, "# Inicio", "# Portada", "book/index.md")
    code, log = build(book)
    assert code != 0 and "nadie" in log
    edit(book, "Ver {ref}`nadie`.", "")
    assert rebuild(book)[0] == []


def test_a_definition_that_changes_reaches_the_pages(book):
    glossary = "# Glosario\n\n```{glossary}\nresorte\n  Cuerpo elástico.\n```\n"
    add_chapter(book, "glosario", glossary)
    insert(book, "Es un {term}`resorte`.")
    assert 'title="Cuerpo elástico."' in rebuild(book)[1]
    edit(book, "Cuerpo elástico", "Hélice de acero", "book/glosario.md")
    executed, page = rebuild(book)
    assert executed == [] and 'title="Hélice de acero."' in page


def test_over_budget_is_advice(book):
    edit(book, "default: 90", "default: 0.1", "_config.yml")
    line = insert(book, cell("total = sum(range(3 * 10**8))"))
    code, log = build(book)
    assert code == 0, log
    assert re.search(rf"01-muestra.md:{line + 1}: el capítulo requiere .*presupuesto.*total = sum", log), log


def test_an_interruption_leaves_no_kernel(book):
    insert(book, cell("import time\ntime.sleep(250)"))
    command = [BIN / "jupyter-book", "build", "."]
    process = psutil.Popen(
        command, cwd=book, stdout=subprocess.PIPE, encoding="utf8", env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    while "ejecutando" not in process.stdout.readline():
        pass
    while not (kernels := process.children(recursive=True)):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not any(kernel.is_running() for kernel in kernels)
