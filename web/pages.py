"""What the pages have beyond the theme: boxes, step sequences, definitions, checks on images."""

import itertools
import re
import struct
from functools import cache, lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from myst_nb.sphinx_ import HideCodeCellNode
from PIL import Image
from sphinx.domains.std import StandardDomain
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from execution import chapter_cost

GLOSSARY = "book/glosario"
logger = logging.getLogger(__name__)


class Opening(SphinxDirective):
    """``{apertura}``: what the reader will be able to do, and what running the chapter costs."""

    has_content = True

    def run(self):
        box = nodes.admonition(classes=["apertura"])
        box += nodes.title(text="Al terminar este capítulo podrás")
        self.state.nested_parse(self.content, self.content_offset, box)
        if cost := chapter_cost(self.env, self.env.docname):
            text = (
                f"Ejecutarlo entero requirió {cost['cpu_seconds']:.0f} s de CPU y "
                f"{cost['peak_mb']:.0f} MB de memoria al construir esta página; "
                "no hacen falta ni GPU ni internet."
            )
            box += nodes.paragraph(text=text, classes=["costo"])
        return [box]


class Steps(SphinxDirective):
    """``{pasos} name N``: the frames glued as name-0 … name-(N-1), stepped through by book.js.

    Without scripts only the last frame is seen; in print, the still figure of the chapter.
    """

    required_arguments = 2
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self):
        name, count = self.arguments[0], int(self.arguments[1])
        if not self.options.get("alt"):
            raise self.error("la directiva pasos necesita alt: qué muestra la secuencia")
        frames = nodes.container(classes=["pasos"])
        for k in range(count):
            source = StringList(f"```{{glue}} {name}-{k}\n```".splitlines())
            frame = nodes.container()
            self.state.nested_parse(source, self.content_offset, frame)
            frames += frame
        frames["alt"] = f"{self.options['alt']} Paso {{}} de {count}."
        caption = nodes.container(classes=["pasos-leyenda"])
        self.state.nested_parse(self.content, self.content_offset, caption)
        return [frames, caption]


def describe_steps(app, doctree, docname):
    """Sphinx handler: give each frame of a sequence its description."""
    for frames in doctree.findall(lambda n: isinstance(n, nodes.container) and "alt" in n):
        for k, image in enumerate(frames.findall(nodes.image), 1):
            image["alt"] = frames["alt"].format(k)


def check_images(app, doctree, docname):
    """Sphinx handler: warn of every image that has no description of its own."""
    for image in doctree.findall(nodes.image):
        alt = (image.get("alt") or "").strip()
        if not alt or alt.endswith((".png", ".svg", ".jpg", ".jpeg")):
            location = f"{app.env.doc2path(docname)}:{image_line(app, docname, image)}"
            logger.warning(
                "imagen sin texto alternativo (alt): %s", image["uri"], location=location
            )
        if image["uri"].startswith("figs/") and not readable(Path(app.srcdir) / image["uri"]):
            location = f"{app.env.doc2path(docname)}:{image_line(app, docname, image)}"
            logger.warning("la imagen no se puede leer: %s", image["uri"], location=location)


def readable(path):
    """Is the file an image that a browser can show?"""
    try:
        ElementTree.parse(path) if path.suffix == ".svg" else Image.open(path).verify()
    except (OSError, SyntaxError):
        return False
    return True


def image_line(app, docname, image):
    """Line of the cell that made an image, or of the directive that names its file."""
    source = Path(app.env.doc2path(docname)).read_text("utf8").splitlines()
    cell = image
    while cell is not None and not (isinstance(cell, nodes.container) and cell.line):
        cell = cell.parent
    if cell is None:
        name = Path(image["uri"]).name
        return next((n for n, text in enumerate(source, 1) if name in text), 1)
    line = cell.line
    while line > 1 and not source[line - 1].startswith("```{code-cell}"):
        line -= 1
    return line


def typeset(text):
    """A number as a book prints it: -1.2e-05 as −1.2·10⁻⁵, 1e-05 as 10⁻⁵, 2e-03 as 0.002, 21235 as 21 235."""
    superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

    def number(match):
        digits, exponent = match[1], int(match[2])
        if -5 < exponent < 4:
            decimals = max(0, len(digits.partition(".")[2]) - exponent)
            return f"{float(match[0]):.{decimals}f}"
        power = f"10{str(exponent).translate(superscript)}"
        return power if digits == "1" else f"{digits}·{power}"

    text = re.sub(r"(\d+(?:\.\d+)?)e([+-]\d+)", number, text).replace("-", "−")
    return re.sub(r"(?<![\d.])\d{5,}", lambda match: f"{int(match[0]):,}".replace(",", "\xa0"), text)


def typeset_numbers(app, doctree):
    """Sphinx handler: the numbers that a chapter computes, typeset; a % and a ± stay with theirs."""
    for node in doctree.findall(nodes.inline):
        if "pasted-text" in node["classes"]:
            node[:] = [nodes.Text(typeset(node.astext()))]
    for node in list(doctree.findall(nodes.Text)):
        joined = re.sub(r"(^|(?<=\d)) (?=[%±])", "\xa0", node)
        if joined != node and isinstance(node.parent, nodes.paragraph | nodes.caption | nodes.inline):
            node.parent.replace(node, nodes.Text(joined))


def name_solutions(app, doctree):
    """Sphinx handler: what unfolds a solution says so."""
    for cell in doctree.findall(nodes.container):
        if "tag_solution" in cell["classes"]:
            cell["prompt_show"], cell["prompt_hide"] = "Ver la solución", "Ocultar la solución"


def visit_folded_cell(self, node):
    """A folded cell; myst-nb's own summary has a label in English that hides its text."""
    self.body.append(f'<details class="admonition hide {" ".join(node["classes"])}"><summary>')
    for state, prompt in (("collapsed", "prompt_show"), ("expanded", "prompt_hide")):
        self.body.append(f'<span class="{state} admonition-title">{node[prompt]}</span>')
    self.body.append("</summary>")


def depart_folded_cell(self, node):
    self.body.append("</details>")


def renew_definitions(app, env):
    """Sphinx handler: a page that names a term is written again when its definition changes."""
    if GLOSSARY not in env.found_docs:
        return []
    items = env.get_doctree(GLOSSARY).findall(nodes.definition_list_item)
    new = {term.astext().lower(): i[-1].astext() for i in items for term in i.findall(nodes.term)}
    old, env.definitions = getattr(env, "definitions", {}), new
    changed = [term for term in old.keys() | new.keys() if old.get(term) != new.get(term)]
    pages = {page: Path(env.doc2path(page)).read_text("utf8").lower() for page in env.found_docs}
    return [page for page in pages if any(term in pages[page] for term in changed)]


@cache
def definitions(env):
    """The definition of each term, by the anchor of the term in the glossary."""
    if GLOSSARY not in env.found_docs:
        return {}
    return {
        anchor: item[-1].astext().replace("\n", " ")
        for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item)
        for term in item.findall(nodes.term)
        for anchor in term["ids"]
    }


def define_terms(app, doctree, docname):
    """Sphinx handler: a link to a glossary term carries the term's definition."""
    for link in doctree.findall(nodes.reference):
        page, _, target = link.get("refuri", "").partition("#")
        if page.endswith(f"{Path(GLOSSARY).name}.html") and target in definitions(app.env):
            link["reftitle"] = definitions(app.env)[target]


@lru_cache(maxsize=2)  # the page's own tree and another's
def tree(env, docname):
    return env.get_doctree(docname)


class FigureReferences(StandardDomain):
    """Sphinx's references, without loading a page's tree again for each figure of it named."""

    def _resolve_numref_xref(self, env, *arguments):
        known = SimpleNamespace(
            get_doctree=partial(tree, env), config=env.config,
            toc_fignumbers=env.toc_fignumbers, toc_secnumbers=env.toc_secnumbers,
        )
        return super()._resolve_numref_xref(known, *arguments)


def list_works(app, docname, template, context, doctree):
    """Sphinx handler: the works cited are items of a list (docutils gives them a withdrawn role)."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def defer_scripts(app, docname, template, context, doctree):
    """Sphinx handler: no script holds back the page, and none comes that no page uses."""
    context["script_files"] = [
        js
        for js in context.get("script_files", [])
        if js.filename and "design-tabs.js" not in js.filename  # those within the page only set options
    ]
    for js in context["script_files"]:  # the same objects for every page
        if docname == "search" and not js.filename.endswith("book.js"):  # its scripts need them at once
            js.attributes.pop("defer", None)
        else:
            js.attributes["defer"] = "defer"


def finish_pages(app, exception):
    """Sphinx handler: every image has its size, and one style sheet has what all pages use."""
    if exception or app.builder.name != "html":
        return
    words = set()
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text("utf8")
        words |= {word for names in set(re.findall(r'class="([^"]*)"', text)) for word in names.split()}
        images = itertools.count()
        sized = re.sub(
            r'<img (?![^>]*\bwidth=)[^>]*?src="([^":]+)"',
            lambda match: f"{match[0]} {image_attributes(page.parent / match[1], next(images))}",
            text,
        )
        if sized != text:
            page.write_text(sized, "utf8")
    static = Path(app.outdir) / "_static"
    for unused in ("bootstrap.js", "fontawesome.js"):
        (static / "scripts" / unused).unlink(missing_ok=True)
    # at load the theme measures every box, and so lays out the whole page: book.js does it near the screen
    theme = static / "scripts/pydata-sphinx-theme.js"
    measures = r',"complete"===document\.readyState\?(\w+)\(\):window\.addEventListener\("load",\1\)'
    theme.write_text(re.sub(measures, "", theme.read_text("utf8")), "utf8")
    for script in static.rglob("*.js"):
        words |= set(re.findall(r"[\w-]+", script.read_text("utf8")))
    sheets = ["basic.css", "styles/pydata-sphinx-theme.css", *(
        str(sheet.filename).split("_static/")[1]
        for sheet in sorted(app.builder._css_files, key=lambda sheet: sheet.priority)
    )]
    style = "".join(
        re.sub(r"url\([\"']?(?![\"']|data:|#)", rf"\g<0>{Path(name).parent}/", (static / name).read_text("utf8"))
        for name in sheets
    )
    (static / "style.css").write_text(used_rules(style, words), "utf8")


def used_rules(css, words):
    """A minified style sheet without the rules that ask for a class that is written nowhere."""

    def rule(match):
        selectors = re.sub(r":not\([^)]*\)", "", match[1].rpartition("*/")[2]).split(",")
        classes = [re.findall(r"\.([A-Za-z_][\w-]*)", selector) for selector in selectors]
        return match[0] if any(words.issuperset(names) for names in classes) else ""

    return re.sub(r"([^{};]+)\{[^{}]*\}", rule, css)


def image_attributes(path, position):
    """HTML attributes of an image: its size in px, and ``lazy`` if it is not a page's first."""
    if path.suffix == ".svg":
        head = re.search(r"<svg[^>]*>", path.read_text("utf8"))[0]
        unit = 4 / 3 if 'pt"' in head else 1
        sides = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head).groups()
        width, height = (round(float(side) * unit) for side in sides)
    else:
        width, height = struct.unpack(">II", path.read_bytes()[16:24])  # PNG
    return f'width="{width}" height="{height}"' + (' loading="lazy"' if position > 1 else "")


def setup(app):
    app.add_directive("apertura", Opening)
    app.add_directive("pasos", Steps)
    app.add_node(HideCodeCellNode, override=True, html=(visit_folded_cell, depart_folded_cell))
    app.connect("doctree-read", typeset_numbers)
    app.connect("doctree-read", name_solutions)
    app.connect("doctree-resolved", describe_steps, priority=400)
    app.connect("doctree-resolved", check_images)
    app.connect("doctree-resolved", define_terms)
    app.connect("env-updated", renew_definitions)
    app.add_domain(FigureReferences, override=True)
    app.connect("html-page-context", list_works)
    app.connect("html-page-context", defer_scripts, priority=900)
    app.connect("build-finished", finish_pages, priority=600)  # after the theme writes pygments.css
    return {"parallel_read_safe": True, "parallel_write_safe": True}
