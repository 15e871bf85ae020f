"""What the pages have beyond the theme: the opening box and the checks made on every page."""

from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from execution import chapter_cost

logger = logging.getLogger(__name__)


class Opening(SphinxDirective):
    """``{apertura}``: what the reader will be able to do, and what running the chapter costs."""

    has_content = True

    def run(self):
        box = nodes.admonition(classes=["apertura"])
        box += nodes.title(text="Al terminar este capítulo podrás")
        self.state.nested_parse(self.content, self.content_offset, box)
        cost = chapter_cost(self.env, self.env.docname)
        if cost:
            text = (
                f"Ejecutarlo entero llevó {cost['cpu_seconds']:.0f} s de CPU y "
                f"{cost['peak_mb']:.0f} MB de memoria al construir esta página; "
                "no hacen falta GPU ni red."
            )
            box += nodes.paragraph(text=text, classes=["costo"])
        return [box]


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


def setup(app):
    app.add_directive("apertura", Opening)
    app.connect("doctree-resolved", check_images)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
