"""The book without a network and on paper: the zip works from a disk, the PDF is whole."""

import re
import subprocess
import zipfile

import pypdfium2
import pytest
from chapter_rules import ROOT, toc_entries
from pypdf import PdfReader
from test_browser import chromium  # noqa: F401
from test_pages import PAGES, SITE


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
def printed():
    """The book on paper, made here: it takes one core, and the other tests use the rest."""
    made = subprocess.run(
        ["make", "-o", "book", "pdf"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf8")
    assert made.returncode == 0, made.stdout
    return ROOT / "_build/libro.pdf"


@pytest.fixture(scope="module")
def pdf(printed):
    return PdfReader(printed)


@pytest.fixture(scope="module")
def texts(printed):
    document = pypdfium2.PdfDocument(printed)
    texts = [page.get_textpage().get_text_bounded().replace("\r\n", "\n") for page in document]
    document.close()
    return texts


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
    assert len(pdf.pages) > 15 * len(toc_entries())


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


def test_pdf_shows_the_sequences_and_quotes_the_titles(texts):
    text = " ".join("".join(texts).split())
    sources = "".join((ROOT / f"{name}.md").read_text("utf8") for name in toc_entries())
    counts = re.findall(r"^:::\{pasos\} \S+ (\d+)$", sources, re.M)
    assert sorted(re.findall(r"Paso 1 de (\d+)", text)) == sorted(counts)
    assert sorted(re.findall(r"Paso (\d+) de \1\b", text)) == sorted(counts)
    assert "Antes conviene haber leído «" in text


def test_pdf_pages_are_numbered_headed_and_none_is_blank(pdf, texts):
    """Each sheet has, under the name of its chapter and its number, something to read."""
    for number, text in enumerate(texts[1:], 2):
        assert text.partition("\n")[0].split()[-1:] == [str(number)], f"hoja {number}: sin número"
        assert len(text.split()) > 20, f"hoja {number}: casi en blanco: {text!r}"
    entries = [(pdf.get_destination_page_number(e), e.title.strip()) for e in flat(pdf.outline)]
    names = {f"{name}.md" for name in toc_entries()[1:]}
    chapters = [re.search(r"^# (.+)$", (ROOT / name).read_text("utf8"), re.M)[1] for name in names]
    for page, title in entries:
        if title.partition(". ")[2] in chapters:
            assert title in texts[page + 1], f"hoja {page + 2}: falta {title} en lo alto"


def test_pdf_has_every_numbered_equation(texts):
    text = "".join(texts)
    for name in toc_entries():
        if match := re.match(r"book/(?!00)(\d\d)-", name):
            labels = re.findall(r"^:label: eq-", (ROOT / f"{name}.md").read_text("utf8"), re.M)
            for k in range(1, len(labels) + 1):
                assert f"({int(match[1])}.{k})" in text, f"{name}: falta la ecuación {k}"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_paper(chromium, name):  # noqa: F811
    page = chromium.new_page(viewport={"width": 612, "height": 900})  # 162 mm: A4 sin márgenes
    page.emulate_media(media="print")
    page.goto((SITE / name).as_uri())
    wide = page.evaluate("""() => {
      for (const fold of document.querySelectorAll("details")) fold.open = true;
      const inside = [["article pre, article table, article img, article svg", "article"],
                      [".katex-display .base", ".katex-display"]];
      return inside.flatMap(([parts, box]) => [...document.querySelectorAll(parts)].filter(part =>
        part.getBoundingClientRect().right > part.closest(box).getBoundingClientRect().right + 1 ||
        part.scrollWidth > part.clientWidth + 1 && part.tagName == "PRE"
      ).map(part => part.textContent.slice(0, 60) || part.src));
    }""")
    page.close()
    assert not wide, wide
