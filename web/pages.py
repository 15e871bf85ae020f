"""What the pages have beyond the theme: boxes, step sequences, definitions, checks on images."""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from myst_nb.sphinx_ import HideCodeCellNode
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
    """A number as a book prints it: -1.2e-05 as −1.2·10⁻⁵, 2e-03 as 0.002, 21235 as 21 235."""
    superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

    def number(match):
        digits, exponent = match[1], int(match[2])
        if -5 < exponent < 4:
            decimals = max(0, len(digits.partition(".")[2]) - exponent)
            return f"{float(match[0]):.{decimals}f}"
        return f"{digits}·10{str(exponent).translate(superscript)}"

    text = re.sub(r"(\d+(?:\.\d+)?)e([+-]\d+)", number, text).replace("-", "−")
    return re.sub(r"(?<![\d.])\d{5,}", lambda match: f"{int(match[0]):,}".replace(",", "\xa0"), text)


def typeset_numbers(app, doctree):
    """Sphinx handler: the numbers that a chapter computes, typeset."""
    for node in doctree.findall(nodes.inline):
        if "pasted-text" in node["classes"]:
            node.children = [nodes.Text(typeset(node.astext()))]


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


def define_terms(app, doctree, docname):
    """Sphinx handler: a link to a glossary term carries the term's definition."""
    if GLOSSARY not in app.env.found_docs:
        return
    definitions = {}
    for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        text = item[-1].astext().replace("\n", " ")
        definitions |= {i: text for term in item.findall(nodes.term) for i in term["ids"]}
    for link in doctree.findall(nodes.reference):
        page, _, target = link.get("refuri", "").partition("#")
        if page.endswith(f"{Path(GLOSSARY).name}.html") and target in definitions:
            link["reftitle"] = definitions[target]


def list_works(app, docname, template, context, doctree):
    """Sphinx handler: the works cited are items of a list (docutils gives them a withdrawn role)."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.add_directive("apertura", Opening)
    app.add_directive("pasos", Steps)
    app.add_node(HideCodeCellNode, override=True, html=(visit_folded_cell, depart_folded_cell))
    app.connect("doctree-read", typeset_numbers)
    app.connect("doctree-read", name_solutions)
    app.connect("doctree-resolved", describe_steps, priority=400)
    app.connect("doctree-resolved", check_images)
    app.connect("doctree-resolved", define_terms)
    app.connect("html-page-context", list_works)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
