"""The book without a network and on paper: the zip works from a disk, the PDF is whole."""

import re
import zipfile

import pytest
from chapter_rules import ROOT, toc_entries
from pypdf import PdfReader
from test_browser import chromium, visit  # noqa: F401


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disco")
    [archive] = (ROOT / "_build").glob("*.zip")
    zipfile.ZipFile(archive).extractall(folder)
    return folder / "html"


def test_zip_works_without_a_network(chromium, unpacked):  # noqa: F811
    context = chromium.new_context(offline=True)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # lo que queda a medio cargar al pasar a otra página no es una falla
    page.on("requestfailed", lambda request: "ABORTED" in request.failure or errors.append(request.url))
    page.goto((unpacked / "index.html").as_uri())
    page.get_by_role("link", name="Empezar por el principio").click()
    assert page.title().startswith("De los datos a la física")
    page.goto((unpacked / "search.html").as_uri() + "?q=retropropagacion")
    page.wait_for_selector("#search-results li a")
    page.goto((unpacked / "book/03-retropropagacion.html").as_uri())
    steps = page.locator(".pasos").first
    shown = steps.locator("img").evaluate_all("images => images.map(i => i.checkVisibility())")
    steps.get_by_role("button", name="Siguiente").click()
    after = steps.locator("img").evaluate_all("images => images.map(i => i.checkVisibility())")
    assert sum(shown) == sum(after) == 1 and after.index(True) == shown.index(True) + 1
    assert not errors
    context.close()


def test_zip_has_every_notebook(unpacked):
    names = {path.stem for path in (unpacked / "notebooks").glob("*.ipynb")}
    assert names == {path.stem for path in (ROOT / "_build/html/notebooks").glob("*.ipynb")}


@pytest.fixture(scope="module")
def pdf():
    return PdfReader(ROOT / "_build/libro.pdf")


@pytest.fixture(scope="module")
def texts(pdf):
    return [page.extract_text() for page in pdf.pages]


def flat(outline):
    for entry in outline:
        yield from flat(entry) if isinstance(entry, list) else [entry]


def test_pdf_is_tagged_and_in_spanish(pdf):
    assert pdf.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert pdf.trailer["/Root"]["/Lang"].startswith("es")


def test_pdf_has_every_page_of_the_book_in_its_contents(pdf, texts):
    titles = [entry.title.strip() for entry in flat(pdf.outline)]
    contents = re.sub(r"\s+", " ", "".join(texts[:4]))
    for name in toc_entries()[1:]:
        [title] = re.findall(r"^# (.+)$", (ROOT / f"{name}.md").read_text("utf8"), re.M)[:1]
        found = [t for t in titles if t.endswith(title)]
        assert found, f"{title}: falta en el índice del PDF"
        entry = next(e for e in flat(pdf.outline) if e.title.strip() == found[0])
        number = pdf.get_destination_page_number(entry) + 1
        assert re.search(rf"{re.escape(title)}\s*{number}\b", contents), f"{title}, {number}"
        assert title.split()[0] in texts[number - 1]
    assert len(pdf.pages) > 20 * len(toc_entries())


def test_pdf_links_stay_inside(pdf):
    """A link is to a page of the file, or to the outside world: never to a file of the site."""
    destinations = {name.lstrip("/") for name in pdf.named_destinations}
    inside, broken = 0, []
    for page in pdf.pages:
        for annotation in page.get("/Annots", []):
            link = annotation.get_object()
            action = link.get("/A", {})
            target = link.get("/Dest") or action.get("/D")
            if target is not None:
                inside += 1
                if isinstance(target, str) and target.lstrip("/") not in destinations:
                    broken.append(target)
            elif not str(action.get("/URI", "")).startswith(("https://", "http://")):
                broken.append(str(action.get("/URI")))
    assert not broken and inside > 500, (inside, sorted(set(broken))[:10])


def test_pdf_has_every_figure(texts):
    text = "".join(texts)
    for name in toc_entries():
        source = (ROOT / f"{name}.md").read_text("utf8")
        if match := re.match(r"book/(\d\d)-", name):
            for k in range(1, len(re.findall(r"^\s+caption:", source, re.M)) + 1):
                label = f"Figura {int(match[1])}.{k}" if int(match[1]) else f"Figura {k}"
                assert label in text, label
