"""The pages in a browser, from the disk: nothing fetched, no error, nothing wider than the screen."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import FLAGS, find
from playwright.sync_api import sync_playwright
from spanish import Search
from test_pages import PAGES, SITE

SCREENS = {"desktop": (1280, "light"), "phone": (390, "dark")}


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a page of the site; every request and every error on it is noted."""
    contexts = []

    def open_page(name, width=1280, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.requests, page.errors = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("requestfailed", lambda request: page.errors.append(f"falló {request.url}"))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.goto((SITE / name).as_uri())
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_page(visit, name, screen):
    page = visit(name, *SCREENS[screen])
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    outside = [u for u in page.requests if not u.startswith((SITE.as_uri(), "data:"))]
    assert not outside, f"pedidos a otro sitio: {outside}"
    assert not page.errors
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= SCREENS[screen][0], f"la página mide {width} px de ancho"
    assert page.evaluate("document.documentElement.dataset.theme") == SCREENS[screen][1]
    # por dentro de una fórmula hay miles de cajas, ocultas para quien no ve, que no se revisan
    found = Axe().run(page, context={"exclude": [[".katex"]]}).response["violations"]
    assert not found, [(v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"]) for v in found]


def test_search_folds_accents_and_keeps_the_enye(visit):
    def results(query):
        page = visit("search.html")
        page.goto(f"{page.url}?q={query}")
        page.wait_for_selector("#search-results .search-summary:not(:empty)")
        page.wait_for_timeout(500)
        assert not page.errors
        return {a.get_attribute("href").split("#")[0].split("?")[0] for a in
                page.query_selector_all("#search-results ul.search a")}

    for plain, accented in (("funcion", "función"), ("derivacion", "derivación"),
                            ("retropropagacion", "Retropropagación"), ("pendulo", "péndulo")):
        assert results(plain) == results(accented) != set(), plain
    assert results("señal") != set() == results("senal")


def test_search_words():
    search = Search({})
    assert search.stem("función") == search.stem("funcion") == search.stem("Funciones")
    assert search.stem("derivación") == search.stem("derivacion")
    assert search.stem("año") != search.stem("ano")


def test_interface_speaks_spanish(visit):
    page = visit("book/02-grafo-computacional.html")
    tooltip = page.locator("button.copybtn").first.get_attribute("data-tooltip")
    assert tooltip == "Copiar"
    summary = page.locator("details.hide summary").first
    assert summary.inner_text().strip("+ ") == "Mostrar el código"
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.hide").first.get_attribute("open") is not None
    assert summary.inner_text().strip("− ") == "Ocultar el código"


def test_maths_is_there_without_scripts(chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((SITE / "book/02-grafo-computacional.html").as_uri())
    assert page.locator(".katex-html").count() > 50
    fonts = page.locator(".katex .mathnormal").first
    assert "KaTeX_Math" in fonts.evaluate("e => getComputedStyle(e).fontFamily")
    context.close()


def test_a_figure_opens_and_closes_with_the_keyboard(visit):
    page = visit("book/02-grafo-computacional.html")
    figure = page.locator(".ampliable").first
    assert figure.get_attribute("alt") in figure.get_attribute("aria-label")
    figure.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog.ampliada[open] img").count() == 1
    page.keyboard.press("Escape")
    page.locator("dialog.ampliada").wait_for(state="hidden")


def test_a_term_shows_its_definition_on_focus(visit):
    page = visit("book/02-grafo-computacional.html")
    link = page.locator("a[href*='glosario.html#']").first
    link.focus()
    note = page.locator("#definicion")
    assert note.is_visible() and len(note.inner_text()) > 20
    page.keyboard.press("Escape")
    assert not note.is_visible()


def test_code_copies_without_prompts_or_outputs(visit):
    page = visit("book/02-grafo-computacional.html")
    cell = page.locator("div.cell_input pre").nth(3)
    button = page.locator("div.cell_input button.copybtn").nth(3)
    target = page.locator(button.get_attribute("data-clipboard-target"))
    assert target.inner_text() == cell.inner_text()
    assert ">>>" not in cell.inner_text() and "In [" not in cell.inner_text()


def test_formulas_copy_as_tex(visit):
    page = visit("book/02-grafo-computacional.html")
    copied = page.evaluate("""() => {
      const range = document.createRange();
      range.selectNode(document.querySelector("div.math .katex"));
      getSelection().addRange(range);
      let text = "";
      document.addEventListener("copy", (e) => { text = e.clipboardData.getData("text/plain"); });
      document.execCommand("copy");
      return text;
    }""")
    assert "\\frac{\\partial L}{\\partial w_i}" in copied


def test_a_sequence_is_stepped_with_buttons_slider_and_keyboard(visit):
    page = visit("book/03-retropropagacion.html")
    steps = page.locator(".pasos").first
    frames = steps.locator("img")
    count = frames.count()
    assert count == 12

    def visible():
        (shown,) = [k for k in range(count) if frames.nth(k).is_visible()]
        assert steps.locator("output").inner_text() == f"{shown + 1} de {count}"
        return shown

    back, forward = steps.locator("button").first, steps.locator("button").last
    assert visible() == 0 and back.is_disabled()
    forward.click()
    assert visible() == 1
    steps.locator("input").focus()
    page.keyboard.press("ArrowRight")
    assert visible() == 2
    page.keyboard.press("End")
    assert visible() == count - 1 and forward.is_disabled()
    back.focus()
    page.keyboard.press("Enter")
    assert visible() == count - 2
    for k in range(count):
        assert f"Paso {k + 1} de {count}." in frames.nth(k).get_attribute("alt")


def test_a_sequence_without_scripts_shows_one_frame(chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((SITE / "book/03-retropropagacion.html").as_uri())
    frames = page.locator(".pasos").first.locator("img")
    assert sum(frames.nth(k).is_visible() for k in range(frames.count())) == 1
    context.close()
