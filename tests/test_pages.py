"""The built pages: language, links and anchors, images, citations and formulas."""

import re
import unicodedata
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from chapter_rules import toc_entries
from matplotlib import rc_params_from_file
from matplotlib.colors import to_rgb
from pages import typeset

SITE = Path(__file__).parent.parent / "_build" / "html"
PAGES = [*(f"{entry}.html" for entry in toc_entries()), "search.html", "404.html"]


@cache
def parsed(page):
    return BeautifulSoup((SITE / page).read_text("utf8"), "html.parser")


@cache
def anchors(page):
    soup = parsed(page)
    return {tag["id"] for tag in soup.find_all(id=True)} | {
        tag["name"] for tag in soup.find_all("a", attrs={"name": True})
    }


@pytest.mark.parametrize("page", PAGES)
def test_language(page):
    assert parsed(page).html["lang"] == "es"


@pytest.mark.parametrize("page", PAGES)
def test_internal_links_and_anchors(page):
    broken = []
    for tag in parsed(page).find_all(["a", "link", "script", "img", "source"]):
        target = tag.get("href") or tag.get("src") or ""
        url = urlsplit(target)
        if url.scheme or url.netloc or target in ("", "#"):
            continue
        path = (SITE / page).parent / unquote(url.path) if url.path else SITE / page
        if not path.exists():
            broken.append(f"{target}: no existe")
        elif url.fragment and path.suffix == ".html":
            name = str(path.resolve().relative_to(SITE.resolve()))
            if unquote(url.fragment) not in anchors(name):
                broken.append(f"{target}: no hay tal ancla")
    assert not broken, f"{page}: {broken}"


@pytest.mark.parametrize("page", PAGES)
def test_images_have_descriptions(page):
    for image in parsed(page).find_all("img"):
        alt = image.get("alt")
        assert alt is not None, f"{page}: imagen sin alt: {image.get('src')}"
        assert not re.search(r"\.(svg|png|jpg)$", alt), f"{page}: alt es un archivo: {alt}"
        sides = {side: int(image[side]) for side in ("width", "height")}
        assert min(sides.values()) > 0, f"{page}: imagen sin medidas: {image}"


@pytest.mark.parametrize("page", PAGES)
def test_ids_are_unique(page):
    ids = [tag["id"] for tag in parsed(page).find_all(id=True)]
    repeated = {i for i in ids if ids.count(i) > 1}
    assert not repeated, f"{page}: {repeated}"


@pytest.mark.parametrize("page", PAGES)
def test_no_leftover_markup(page):
    article = parsed(page).find("article") or parsed(page)
    hidden = ["pre", "code", "script", "annotation"]
    text = " ".join(s for s in article.find_all(string=True) if not s.find_parent(hidden))
    leftover = re.findall(r"katex-error|\{\w+\}`|\$\$|\\frac|\\mathcal|\[\?\]|\bNone\b", text)
    assert not leftover, f"{page}: {leftover}"


ENGLISH = re.compile(
    r"\b(the|this|of|and|search|toggle|page|main|home|show|hide|link|copy|next|previous|edit|"
    r"download|open|close|skip|contents|proof|figure|source|click|light|dark|system|theme|by)\b",
    re.I,
)


def english(soup):
    """Words of the interface, the titles and the labels of a page that are in English."""
    for code in soup(["script", "style", "pre", "code", "annotation"]):
        code.extract()
    found = []
    for tag in soup.find_all(True):
        labels = [
            f"{name}={tag[name]}" for name in ("title", "aria-label", "placeholder", "alt", "data-tooltip")
            if ENGLISH.search(tag.get(name) or "")
        ]
        # the titles of the works cited may be in English
        if labels and "bibliografia.html" not in tag.get("href", "") and not tag.find_parent(id="bibliografia"):
            found += labels
    for summary in soup.find_all(["summary", "figcaption", "h1", "h2", "h3", "button", "label"]):
        found += [t for t in summary.stripped_strings if ENGLISH.search(t)]
    if soup.article:
        soup.article.extract()
    found += [t for t in soup.stripped_strings if ENGLISH.search(t)]
    return [text for text in found if ENGLISH.search(text.replace("CC BY", ""))]


@pytest.mark.parametrize("page", PAGES)
def test_interface_in_spanish(page):
    found = english(BeautifulSoup((SITE / page).read_text("utf8"), "html.parser"))
    assert not found, f"{page}: texto en inglés: {found}"


def test_chapters_are_numbered_as_their_files():
    numbered = [p for p in PAGES if re.match(r"book/(?!00)\d\d-", p)]
    assert numbered
    for page in numbered:
        title = parsed(page).article.h1.find(class_="section-number").get_text(strip=True)
        assert title == f"{int(page[5:7])}.", f"{page}: el título lleva el número {title}"


def test_numbers_are_typeset():
    numbers = ["-1.2e-05", "1e-10", "2e-03", "21235", "-51032 pasos", "9.869604", "2285"]
    assert [typeset(n) for n in numbers] == [
        "−1.2·10⁻⁵", "10⁻¹⁰", "0.002", "21\xa0235", "−51\xa0032 pasos", "9.869604", "2285"
    ]


@pytest.mark.parametrize("page", PAGES)
def test_lines_break_where_they_may(page):
    """Not between a formula and the comma after it, nor between a number and its % or its ±."""
    for formula in parsed(page).select(".katex"):
        after = formula.next_sibling
        assert not isinstance(after, str) or after[:1] not in set(",.;:?!)…»"), f"{formula.parent.get_text()[-80:]}"
    for text in parsed(page).select("p, figcaption"):
        assert not re.search(r"\d [%±]", text.get_text()), text.get_text()


def test_works_are_in_the_order_in_which_they_are_cited():
    works = [work.p.get_text() for work in parsed("book/bibliografia.html").select(".citation")]
    surnames = [unicodedata.normalize("NFKD", text.split(",")[0]).lower() for text in works]
    assert len(works) > 100 and surnames == sorted(surnames)


def test_descriptions():
    """Each page has its own, without formulas, of a length that a search engine shows whole."""
    texts = {
        page: parsed(page).find("meta", attrs={"name": "description"})["content"]
        for page in PAGES
        if page.startswith("book/")
    }
    assert len(set(texts.values())) == len(texts)
    for page, text in texts.items():
        assert 30 <= len(text) <= 160 and not re.search(r"[\\$]", text), f"{page}: {text}"


def test_previous_and_next_say_which():
    chapters = [page for page in PAGES if re.match(r"book/\d\d-", page)]
    for before, page in zip(chapters, chapters[1:]):
        link = parsed(page).find("a", class_="left-prev")
        assert (Path("book") / link["href"]).as_posix() == before
        title = parsed(before).article.h1.get_text().rstrip("#")
        assert link.find(class_="prev-next-title").get_text().strip() == title
        assert link.find(class_="prev-next-subtitle").get_text() == "anterior"


def test_map_is_what_the_chapters_ask_for():
    rows = {}
    for item in parsed("book/index.html").select("ul.mapa > li"):
        number = int(item.find(class_="numero").get_text())
        assert item.a["href"].startswith(f"{number:02}-")
        said = item.find(class_="antes")
        rows[number] = {int(n) for n in re.findall(r"\d+", said.get_text() if said else "")}
        assert len(item.find_all("path")) == len(rows[number])
    sources = {int(p.name[:2]): p.read_text("utf8") for p in sorted((SITE.parents[1] / "book").glob("[0-9]*.md"))}
    labels = {re.search(r"\((cap-.*)\)=", text)[1]: n for n, text in sources.items()}
    for number, text in sources.items():
        asked = re.search(r"Antes conviene[^:]*(?::(?!::).*)*", text)[0]
        assert rows[number] == {labels[name] for name in re.findall(r"`(cap-[\w-]+)`", asked)}
        assert all(other < number for other in rows[number]), f"el capítulo {number} pide uno posterior"
    assert rows.keys() == sources.keys()


def test_state_counts_what_was_executed():
    table = parsed("book/estado.html").article.table
    rows = [[cell.get_text(strip=True) for cell in row.find_all("td")] for row in table.tbody.find_all("tr")]
    links = [Path(a["href"]).stem for a in table.find_all("a")]
    notebooks = {path.stem: nbformat.read(path, 4) for path in (SITE / "notebooks").glob("*.ipynb")}
    assert sorted(links) == sorted(notebooks)
    for name, row in zip(links, rows):
        cells = [cell for cell in notebooks[name].cells if cell.cell_type == "code"]
        assert int(row[1]) == len(cells) > 0 and 0 < int(row[2]) < len(cells)
        written = sum(len(re.findall(r"^\s*assert\b", cell.source, re.M)) for cell in cells)
        assert int(row[3]) >= written > 0
        assert len(table.select(".costo")) == 2 * len(rows)
    for column in (1, 2, 3, 4):
        assert sum(int(row[column]) for row in rows[:-1]) == int(rows[-1][column])
    assert f"torch {version('torch')}" in parsed("book/estado.html").article.get_text()


# Contrast, as WCAG 2.2 defines it: 4.5 for text, 3 for the lines of a figure.


def contrast(one, other):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_has_contrast(theme):
    scope = rf'html\[data-theme="{theme}"\]'
    style = (SITE / "_static/style.css").read_text("utf8")
    surface = to_rgb(re.findall(scope + r" \{[^}]*--pst-color-surface: (#\w+)", style)[-1])
    colours = re.findall(scope + r" \.highlight (\.\w+) \{[^}]*?(?<![-\w])color: (#\w+)", style)
    assert len(colours) > 20
    for name, colour in colours:
        assert contrast(to_rgb(colour), surface) >= 4.5, f"{theme}: {name} {colour}"


def darkened(colour):
    """A colour of a figure on a dark page, as ``filter: invert(.91) hue-rotate(180deg)`` leaves it."""
    assert "filter: invert(.91) hue-rotate(180deg)" in (SITE / "_static/style.css").read_text("utf8")
    inverted = [0.91 - 0.82 * c for c in to_rgb(colour)]
    rotation = [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]]
    return [min(1, max(0, sum(a * c for a, c in zip(row, inverted)))) for row in rotation]


@pytest.mark.parametrize("seen", [to_rgb, darkened])
def test_figures_have_contrast(seen):
    style = rc_params_from_file(SITE.parents[1] / "web/matplotlibrc")
    lines = [*style["axes.prop_cycle"].by_key()["color"], style["axes.edgecolor"], style["xtick.color"]]
    text = [style["axes.labelcolor"], style["xtick.labelcolor"], style["ytick.labelcolor"]]
    for least, colours in ((3, lines), (4.5, text)):
        for colour in colours:
            assert contrast(seen(f"#{colour.lstrip('#')}"), seen("white")) >= least, colour
