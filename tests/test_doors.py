"""The ways out of a page: each button resolves in the branch that the workflow would push."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from chapter_rules import ROOT
from doors import doors, site_address
from test_faults import CHAPTER, book, build  # noqa: F401

NOTEBOOKS = sorted((ROOT / "_build/html/notebooks").glob("*.ipynb"))


@pytest.fixture
def published(book, monkeypatch):  # noqa: F811
    """The sample book as a fork's workflow would build it, and the branch it would push."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "Ada/fisica")
    config = (book / "_config.yml").read_text("utf8")
    (book / "_config.yml").write_text(
        config.replace('jupyterhub_url: ""', "jupyterhub_url: https://hub.example.edu"), "utf8"
    )
    status, log = build(book)
    assert status == 0, log
    for name in (".github", "requirements.txt", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, book / name)
    remote = book / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    subprocess.run([book / ".github/notebooks.sh", remote], check=True)
    tree = subprocess.run(
        ["git", "-C", remote, "ls-tree", "-r", "--name-only", "notebooks"],
        check=True, capture_output=True, encoding="utf8",
    ).stdout.split()
    page = BeautifulSoup((book / "_build/html" / CHAPTER.replace(".md", ".html")).read_text("utf8"), "html.parser")
    return book, page, tree


def test_a_fork_publishes_working_buttons(published):
    book, page, tree = published  # noqa: F811
    links = {a.text: a["href"] for a in page.select("nav.puertas a")}
    assert links.keys() == doors("a/b", "https://h", "x/y").keys()
    colab = urlsplit(links["Abrir en Colab"]).path
    assert colab.startswith("/github/Ada/fisica/blob/notebooks/")
    assert colab.removeprefix("/github/Ada/fisica/blob/notebooks/") in tree
    binder = urlsplit(links["Abrir en Binder"])
    assert binder.path == "/v2/gh/Ada/fisica/notebooks"
    assert parse_qs(binder.query)["labpath"][0] in tree
    hub = parse_qs(urlsplit(links["Abrir en JupyterHub"]).query)
    assert hub["repo"] == ["https://github.com/Ada/fisica"] and hub["branch"] == ["notebooks"]
    assert hub["urlpath"][0].removeprefix("lab/tree/fisica/") in tree
    assert (book / "_build/html/book" / links["Descargar el cuaderno"]).exists()
    edited = urlsplit(links["Editar"]).path.removeprefix("/Ada/fisica/edit/main/")
    assert (book / edited).exists()
    assert "title=" in unquote(links["Informar un error"])
    assert page.find("link", rel="canonical")["href"].startswith("https://ada.github.io/fisica/")
    assert {"binder/requirements.txt", "binder/runtime.txt", "LICENSE"} <= set(tree)


def test_binder_has_no_cuda(published):
    book, _, _ = published  # noqa: F811
    show = ["git", "-C", book / "remote.git", "show", "notebooks:binder/requirements.txt"]
    environment = subprocess.run(show, check=True, capture_output=True, encoding="utf8").stdout
    assert re.search(r"^torch==[\d.]+\+cpu$", environment, re.M), environment
    assert "nvidia" not in environment


def test_notebook_links_back_to_the_page(published):
    book, _, _ = published  # noqa: F811
    notebook = nbformat.read(book / f"_build/html/notebooks/{Path(CHAPTER).stem}.ipynb", 4)
    assert "https://ada.github.io/fisica/book/01-muestra.html" in notebook.cells[0].source


def test_without_an_address_there_is_no_broken_button():
    assert site_address("") == "" and list(doors("", "", "book/x")) == ["Descargar el cuaderno"]
    assert site_address("Ada/ada.github.io") == "https://ada.github.io/"
    assert "Abrir en JupyterHub" not in doors("a/b", "", "book/x")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_plain_notebook(path):
    """Nothing that only MyST understands; the chapter's code, in order; what is folded, folded."""
    notebook = nbformat.read(path, 4)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    prose = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$", "", text, flags=re.S)
    leftover = re.findall(r"\{\w[\w:]*\}`|:::|```\{|\0|\[\?\]|<span|\\sen\b|\\R\b|\\loss\b", prose + text)
    assert not leftover, f"{path.name}: {leftover}"
    source = (ROOT / "book" / f"{path.stem}.md").read_text("utf8")
    cells = re.findall(r"^```\{code-cell\} ipython3\n(?:---\n.*?\n---\n|(?::[^\n]*\n)*)(.*?)^```", source, re.S | re.M)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c.source.strip() for c in code] == [c.strip() for c in cells]
    assert all(c.execution_count for c in code)
    for cell in code:
        folded = {"hide-cell", "hide-input", "remove-cell"} & set(cell.metadata.get("tags", []))
        assert bool(folded) == cell.metadata.get("jupyter", {}).get("source_hidden", False)
    captions = len(re.findall(r"^\s+caption:", source, re.M))
    assert len(re.findall(r"^\*\*Figura [\d.]+\*\* ", text, re.M)) == captions
    assert text.count("<details><summary>Descripción de la figura</summary>") == captions
    works = {key for keys in re.findall(r"\{cite:\w+\}`(.*?)`", source) for key in keys.split(",")}
    assert len(re.findall(r"^- .+\.$|^- .+https://doi\S+$", text.partition("## Referencias")[2], re.M)) == len(works)
    rows = "".join(re.findall(r"^\|.*$", source, re.M))
    assert set(re.findall(r"\d+\.\d+", rows)) <= set(re.findall(r"\d+\.\d+", text)), "cifras de una tabla"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_exercise_cells_stand_together(path):
    """Folded solutions are announced, and what tests them comes before the next exercise."""
    cells = nbformat.read(path, 4).cells
    for before, cell in zip(cells, cells[1:]):
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            assert before.source.endswith("*Solución, plegada:*")
        if "exercise-test" in tags:
            assert before.cell_type == "code", f"{path.name}: {cell.source[:60]}"


def test_every_chapter_has_a_notebook():
    assert {p.stem for p in NOTEBOOKS} == {
        p.stem for p in (ROOT / "book").glob("*.md")
        if "{code-cell}" in p.read_text("utf8") and not p.stem.startswith("_")
    }


@pytest.mark.parametrize("name", ["README.md", "book/ejecutar.md"])
def test_commands_install_the_versions_of_the_book(name):
    """What a reader is told to install is what the tests ran; torch, never without a version."""
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text("utf8"), re.M))
    commands = re.findall(r"^.*pip install (.+)$", (ROOT / name).read_text("utf8"), re.M)
    named = [re.match(r"([\w-]+)(?:==(\S+))?$", word) for line in commands for word in line.split()]
    named = [match.groups() for match in named if match and match[1] in pins]
    assert "torch" in dict(named)
    assert all(version == pins[package] for package, version in named), named
