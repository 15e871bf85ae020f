"""The pages in a browser, from the disk: nothing fetched, no error, nothing wider than the screen."""

import gzip
import http.server
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import FLAGS, find
from playwright.sync_api import sync_playwright
from spanish import Search
from test_doors import book, published  # noqa: F401
from test_pages import PAGES, SITE

READ = """async () => {
  let shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { shift += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y);
    await new Promise((done) => {  // what is near has been seen; a hidden page sees nothing, and goes on
      setTimeout(done, 500);
      new IntersectionObserver((_, observer) => { observer.disconnect(); done(); }).observe(document.body);
    });
  }
  return shift;
}"""
# Of the visible pieces of code of one kind (a name, an operator) and in one kind of box, axe looks at one:
# the others have its colours, and they are nine of ten of the texts whose contrast it would measure. It
# does not measure a text of one letter: those have two, of half the size. A formula is thousands of boxes,
# hidden from who does not see: it looks at a word in its place, with its colour.
ONE_OF_A_KIND = """() => {
  for (const e of document.querySelectorAll(".katex")) e.textContent = "fórmula";
  const seen = new Set();
  for (const e of document.querySelectorAll("pre span[class]")) {
    const kind = `${e.className} ${e.closest("div.cell")?.className}`;
    if (seen.has(kind)) e.replaceWith(...e.childNodes);
    else if (e.checkVisibility()) {
      seen.add(kind);
      if (e.textContent.length === 1) e.innerHTML = '<span style="font-size: 50%">xx</span>';
    }
  }
}"""
SCREENS = {"desktop": (1280, "light"), "phone": (390, "dark")}


def compressed(url):
    """Bytes of a file as a server sends it: compressed, but for the fonts, which already are."""
    if url.startswith("data:"):
        return 0
    path = Path(unquote(urlsplit(url).path))
    return len(path.read_bytes() if path.suffix == ".woff2" else gzip.compress(path.read_bytes(), 6))


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
    shift = page.evaluate(READ)
    if shift > 0.02:  # on a busy machine the fonts may come after the first paint: not in two first visits
        page = visit(name, *SCREENS[screen])
        shift = page.evaluate(READ)
    page.wait_for_load_state("networkidle")
    assert shift <= 0.02, f"la página se corre {shift:.3f} mientras se lee"
    weight = sum(map(compressed, {u for u in page.requests if "/_images/" not in u}))
    assert weight <= 250_000, f"la página pesa {weight} bytes antes de las figuras"
    outside = [u for u in page.requests if not u.startswith((SITE.as_uri(), "data:"))]
    assert not outside, f"pedidos a otro sitio: {outside}"
    assert not page.errors
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= SCREENS[screen][0], f"la página mide {width} px de ancho"
    assert page.evaluate("document.documentElement.dataset.theme") == SCREENS[screen][1]
    if screen == "desktop":
        cut = page.evaluate("""[...document.querySelectorAll(".katex-display")].filter(
          (e) => e.scrollWidth > e.clientWidth).map((e) => e.querySelector("annotation").textContent)""")
        assert not cut, f"fórmulas más anchas que el texto: {cut}"
    page.evaluate(ONE_OF_A_KIND)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
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
    summary.scroll_into_view_if_needed()
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
    code = cell.text_content()
    assert target.text_content() == code and ">>>" not in code and "In [" not in code


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
    steps.scroll_into_view_if_needed()
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
    page.locator(".pasos").first.scroll_into_view_if_needed()
    frames = page.locator(".pasos").first.locator("img")
    assert sum(frames.nth(k).is_visible() for k in range(frames.count())) == 1
    context.close()


def test_what_does_not_fit_is_reached_with_the_keyboard_when_it_is_near(visit):
    """Boxes are measured near the screen: measuring all of them would lay out the whole page."""
    page = visit("book/16-ecuaciones-de-la-fisica.html", 390)
    wide = page.locator("pre")
    assert not page.evaluate("[...document.querySelectorAll('pre')].slice(-9).some(e => e.hasAttribute('tabindex'))")
    page.evaluate(READ)
    reached = page.evaluate("""[...document.querySelectorAll("pre, .katex-display")].every(
      (e) => e.scrollWidth <= e.clientWidth || e.tabIndex === 0 || !e.checkVisibility())""")
    assert reached and wide.count() > 50
    folded = page.locator("details.hide pre").first
    assert folded.get_attribute("tabindex") is None
    page.locator("details.hide summary").first.press("Enter")
    page.wait_for_function("e => e.tabIndex === 0", arg=folded.element_handle())


def test_search_theme_and_menu_by_keyboard(visit):
    page = visit("book/03-retropropagacion.html", 390)
    page.keyboard.press("Control+k")
    page.wait_for_function("document.activeElement.name === 'q'")
    page.keyboard.type("gradiente")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results ul.search a")
    assert "search.html?q=gradiente" in page.url
    page = visit("book/03-retropropagacion.html", 390)
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button").first.focus()  # the theme lets go of it
        page.keyboard.press("Enter")
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"light", "dark", "auto"}
    page.locator(".primary-toggle").focus()
    page.keyboard.press("Enter")
    menu = page.locator("dialog#pst-primary-sidebar-modal[open]")
    assert menu.get_by_text("Optimizadores").is_visible()
    page.keyboard.press("Escape")
    menu.wait_for(state="detached")
    assert not page.errors


def test_reduced_motion_is_honoured(chromium):
    moving = """[...document.querySelectorAll("*")].map((e) => getComputedStyle(e)).filter((s) =>
      s.scrollBehavior === "smooth" || s.transitionDuration.match(/[1-9]/) || s.animationDuration.match(/[1-9]/)).length"""
    counts = {}
    for motion in ("no-preference", "reduce"):
        context = chromium.new_context(reduced_motion=motion)
        page = context.new_page()
        page.goto((SITE / "book/estado.html").as_uri())
        counts[motion] = page.evaluate(moving)
        context.close()
    assert counts["reduce"] == 0 < counts["no-preference"]


def test_a_published_site_is_found(published, chromium):  # noqa: F811
    """Sitemap, card, and a 404 page that works at any depth under the repository's address."""
    root = published[0] / "_build/html"
    chapter = published[1]
    pages = [u.text for u in ET.parse(root / "sitemap.xml").findall(".//{*}loc")]
    assert chapter.find("link", rel="canonical")["href"] in pages
    assert all((root / u.removeprefix("https://ada.github.io/fisica/")).exists() for u in pages)
    tags = {m["property"]: m["content"] for m in chapter.find_all("meta", property=True)}
    card = (root / tags["og:image"].removeprefix("https://ada.github.io/fisica/")).read_bytes()
    assert tags["og:url"] in pages and tags["og:title"] and tags["og:description"]
    assert tags["og:site_name"] == "Aprendizaje profundo basado en la física"
    assert [int.from_bytes(card[k : k + 4]) for k in (16, 20)] == [1200, 630]

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = root / urlsplit(self.path).path.removeprefix("/fisica/")
            self.send_response(200 if path.is_file() else 404)
            self.end_headers()
            self.wfile.write((path if path.is_file() else root / "404.html").read_bytes())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        answers = []
        page.on("response", lambda r: answers.append((r.status, r.url)))
        page.goto(f"http://127.0.0.1:{server.server_port}/fisica/no/existe/nada")
        assert [status for status, _ in answers].count(404) == 1 < len(answers), answers
        page.get_by_role("link", name="La portada").click()
        page.wait_for_url("**/fisica/book/index.html")
        page.close()
        server.shutdown()
