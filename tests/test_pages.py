"""The built pages: language, links and anchors, images, citations and formulas."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from chapter_rules import toc_entries
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


@pytest.mark.parametrize("page", PAGES)
def test_ids_are_unique(page):
    ids = [tag["id"] for tag in parsed(page).find_all(id=True)]
    repeated = {i for i in ids if ids.count(i) > 1}
    assert not repeated, f"{page}: {repeated}"


@pytest.mark.parametrize("page", PAGES)
def test_no_leftover_markup(page):
    article = parsed(page).find("article") or parsed(page)
    for hidden in article.find_all(["pre", "code", "script", "annotation"]):
        hidden.extract()
    text = article.get_text(" ")
    leftover = re.findall(r"katex-error|\{\w+\}`|\$\$|\\frac|\\mathcal|\[\?\]|\bNone\b", text)
    assert not leftover, f"{page}: {leftover}"
    parsed.cache_clear()


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
        if "bibliografia.html" in tag.get("href", "") or tag.find_parent(id="bibliografia"):
            continue  # the titles of the works cited
        for name in ("title", "aria-label", "placeholder", "alt", "data-tooltip"):
            if ENGLISH.search(tag.get(name) or ""):
                found.append(f"{name}={tag[name]}")
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
    numbers = ["-1.2e-05", "2e-03", "21235", "-51032 pasos", "9.869604", "2285"]
    assert [typeset(n) for n in numbers] == [
        "−1.2·10⁻⁵", "0.002", "21\xa0235", "−51\xa0032 pasos", "9.869604", "2285"
    ]
