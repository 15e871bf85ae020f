"""The whole book on paper: ``python web/pdf.py`` turns _build/singlehtml into _build/libro.pdf.

Chromium prints the single page twice: the first time to learn on which page each section falls,
the second with that table of contents. Text, formulas and figures stay text and vectors; the file
is tagged, and its internal links and its outline work. The letters are those that matplotlib
carries, so that the book has the same pages on every machine.
"""

import io
import sys
from pathlib import Path

import matplotlib
import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

import browser

ROOT = Path(__file__).parent.parent
LAYOUT = {"tagged": True, "outline": True, "print_background": True, "prefer_css_page_size": True}
RAISED = "unicode-range: U+B2-B3, U+B9, U+2070-209F"  # exponentes y subíndices, que STIX no tiene
FACES = [
    ("STIXGeneral", "Libro", ""),
    ("STIXGeneralItalic", "Libro", "font-style: italic"),
    ("STIXGeneralBol", "Libro", "font-weight: bold"),
    ("STIXGeneralBolIta", "Libro", "font-weight: bold; font-style: italic"),
    ("DejaVuSerif", "Libro", RAISED),
    ("DejaVuSerif-Bold", "Libro", f"font-weight: bold; {RAISED}"),
    ("DejaVuSansMono", "Libro fija", ""),
    ("DejaVuSansMono-Bold", "Libro fija", "font-weight: bold"),
    ("DejaVuSansMono-Oblique", "Libro fija", "font-style: italic"),
]
PREPARE = """parts => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const image of document.images) image.loading = "eager";
  for (const steps of document.querySelectorAll(".pasos")) {  // de una secuencia, cuatro cuadros
    const frames = [...steps.children].filter(frame => frame.querySelector("img"));
    for (let k = 0; k < 4; k++) {
      const shown = Math.round(k * (frames.length - 1) / 3);
      frames[shown].dataset.paso = `Paso ${shown + 1} de ${frames.length}`;
    }
  }
  for (const link of document.querySelectorAll("a.internal .std-ref")) {  // un título va entre comillas
    const target = document.getElementById(decodeURIComponent(link.parentNode.hash.slice(1)));
    const title = target?.closest("section")?.querySelector("h2, h3, h4, h5").textContent;
    if (title?.replace(/^[\d.]+|#$/g, "").trim() === link.textContent) link.textContent = `«${link.textContent}»`;
  }
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
  const style = document.head.appendChild(document.createElement("style"));
  document.querySelectorAll("span[id^=document-] + section").forEach((chapter, n) => {
    chapter.prepend(chapter.previousElementSibling);  // su ancla, en su hoja
    const part = parts[chapter.firstElementChild.id.replace("document-", "")];
    if (part) list.insertAdjacentHTML("beforeend", `<li class="parte">${part}</li>`);
    chapter.querySelectorAll(":scope > h2, :scope > section > h3").forEach((title, k) => {
      title.id = `titulo-${n}-${k}`;
      const text = title.cloneNode(true);
      text.querySelector(".headerlink").remove();
      list.insertAdjacentHTML("beforeend", `<li class="${k ? "seccion" : "capitulo"}">` +
        `<a href="#${title.id}"><span>${text.innerHTML}</span><span class="pagina"></span></a></li>`);
      if (k) return;
      chapter.style.page = `capitulo-${n}`;  // en lo alto de sus hojas, su título
      style.append(`@page capitulo-${n} { @top-left { content: ${JSON.stringify(text.textContent)}; } }`);
    });
  });
  document.querySelector(".portada").after(list);
  list.insertAdjacentHTML("beforebegin", "<h2>Contenido</h2>");
  const lost = [...document.querySelectorAll("article a.internal")].map(link => link.getAttribute("href"))
    .filter(target => !document.getElementById(decodeURIComponent(target.slice(1))));
  return Promise.all([document.fonts.ready, ...[...document.images].map(image => image.decode())])
    .then(() => lost);
}"""
NUMBER = """pages => document.querySelectorAll(".indice a").forEach(
  link => { link.lastElementChild.textContent = pages[link.hash.slice(1)]; })"""


def pages_of(pdf):
    """Page, from one, of each place that a link leads to."""
    reader = PdfReader(io.BytesIO(pdf))
    places = reader.named_destinations.items()
    return {name.lstrip("/"): reader.get_destination_page_number(place) + 1 for name, place in places}


def main():
    source = ROOT / "_build/singlehtml"
    # la portada está en una carpeta, pero la página única enlaza desde la raíz
    page_file = source / "libro.html"
    page_file.write_bytes((source / "book/index.html").read_bytes())
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    parts = {part["chapters"][0]["file"]: part["caption"] for part in toc["parts"]}
    fonts = Path(matplotlib.get_data_path(), "fonts/ttf")
    faces = "".join(
        f"@font-face {{ font-family: '{family}'; src: url({(fonts / name).as_uri()}.ttf); {style} }}"
        for name, family, style in FACES
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=browser.FLAGS)
        page = chromium.new_page()
        page.set_default_timeout(0)  # es el libro entero: en una máquina ocupada tarda
        page.emulate_media(media="print", color_scheme="light")
        page.goto(page_file.as_uri())
        page.add_style_tag(content=faces)
        if lost := page.evaluate(PREPARE, parts):
            sys.exit(f"{page_file}: enlaces a ninguna parte: {', '.join(sorted(set(lost)))}")
        page.evaluate("document.body.style.visibility = 'hidden'")  # las mismas hojas, sin pintar
        draft = page.pdf(**LAYOUT | {"tagged": False, "outline": False})
        page.evaluate("document.body.style.visibility = ''")
        page.evaluate(NUMBER, pages_of(draft))
        pdf = page.pdf(**LAYOUT)
        chromium.close()
    target = ROOT / "_build/libro.pdf"
    target.write_bytes(pdf)
    print(f"{target}: {len(PdfReader(io.BytesIO(pdf)).pages)} páginas")


if __name__ == "__main__":
    main()
