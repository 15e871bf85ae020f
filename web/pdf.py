"""The whole book on paper: ``python web/pdf.py`` turns _build/singlehtml into _build/libro.pdf.

Chromium prints the single page twice: the first time to learn on which page each chapter falls,
the second with that table of contents. Text, formulas and figures stay text and vectors; the file
is tagged, and its internal links and its outline work.
"""

import io
from pathlib import Path

from playwright.sync_api import sync_playwright
from pypdf import PdfReader

import browser

ROOT = Path(__file__).parent.parent
LAYOUT = {
    "format": "A4",
    "tagged": True,
    "outline": True,
    "print_background": True,
    "margin": {"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": '<div style="width:100%;text-align:center;font-size:8pt">'
    '<span class="pageNumber"></span></div>',
}
PREPARE = """() => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const image of document.images) image.loading = "eager";
  const books = document.querySelectorAll(".citation [id], .citation[id]");  // id1, id2: hay otros
  for (const entry of books) entry.id = "bib-" + entry.id;
  for (const link of document.querySelectorAll("a.internal[href]")) {
    const target = link.getAttribute("href").replace(/^book.index.html/, "");
    link.setAttribute("href", target.replace(/^#(id\\d+)$/, "#bib-$1"));
  }
  const list = document.createElement("ol");
  list.className = "indice";
  document.getElementById("mapa").removeAttribute("id");  // en papel, el mapa es el índice
  list.id = "mapa";
  const titles = [];
  for (const title of document.querySelectorAll("span[id^=document-] + section > h2")) {
    const text = title.cloneNode(true);
    text.querySelector(".headerlink").remove();
    titles.push(text.textContent);
    list.insertAdjacentHTML("beforeend", `<li><a href="#${title.parentElement.id}">` +
      `<span>${text.innerHTML}</span><span class="pagina"></span></a></li>`);
  }
  document.querySelector(".portada").insertAdjacentElement("afterend", list);
  return Promise.all([...document.images].map(image => image.decode())).then(() => titles);
}"""
NUMBER = """pages => document.querySelectorAll(".indice .pagina").forEach(
  (span, k) => { span.textContent = pages[k] ?? ""; })"""


def pages_of(titles, pdf):
    """Page, from one, of the outline's entry with each title."""
    reader = PdfReader(io.BytesIO(pdf))
    pages = {}
    entries = list(reader.outline)
    for entry in entries:
        if isinstance(entry, list):
            entries.extend(entry)
        else:
            pages.setdefault(entry.title.strip(), reader.get_destination_page_number(entry) + 1)
    return [pages[title.strip()] for title in titles]


def main():
    source = ROOT / "_build/singlehtml"
    # la portada está en una carpeta, pero la página única enlaza desde la raíz
    page_file = source / "libro.html"
    page_file.write_bytes((source / "book/index.html").read_bytes())
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=browser.FLAGS)
        page = chromium.new_page()
        page.goto(page_file.as_uri())
        page.emulate_media(media="print", color_scheme="light")
        titles = page.evaluate(PREPARE)
        page.evaluate(NUMBER, pages_of(titles, page.pdf(**LAYOUT)))
        pdf = page.pdf(**LAYOUT)
        chromium.close()
    target = ROOT / "_build/libro.pdf"
    target.write_bytes(pdf)
    print(f"{target}: {len(PdfReader(io.BytesIO(pdf)).pages)} páginas")


if __name__ == "__main__":
    main()
