"""Write each chapter as a notebook that a program without MyST shows well.

Code and outputs are those of the execution. The prose is the page's, with its references, numbers
and citations resolved, written as Markdown by sphinx-markdown-builder. These notebooks, in the
site's own ``notebooks`` folder, are what a reader opens and what the tests re-run.
"""

import html
import posixpath
import re
from functools import partial
from pathlib import Path

import nbformat
from docutils import nodes
from nbformat.v4 import new_markdown_cell
from sphinx.util.math import get_node_equation_number
from sphinx_markdown_builder import contexts
from sphinx_markdown_builder.translator import MarkdownTranslator, pushing_context

from execution import executed_chapter
from katex import display_tex

FOLDED = {"hide-cell", "hide-input", "remove-cell"}


class Translator(MarkdownTranslator):
    """The page's document tree as Markdown; NUL, index, NUL stands where a code cell goes."""

    def __init__(self, document, builder, docname):
        super().__init__(document, builder)
        self.docname = docname
        self.works = set()

    def visit_container(self, node):
        if node.get("nb_element") == "cell_code":
            if "tag_solution" in node["classes"]:
                self.add("*Solución, plegada:*", 2, 2)
            self.add(f"\0{node['cell_index']}\0", 2, 2)
            for figure in node.findall(nodes.figure):
                self.add_caption(figure)
            raise nodes.SkipNode
        if "pasos" in node["classes"]:
            page = "La página del libro"
            if self.config.html_baseurl:
                page = f"[{page}]({self.config.html_baseurl}{self.docname}.html)"
            self.add(f"{page} recorre esta secuencia paso a paso.", 2, 2)
            raise nodes.SkipNode

    def visit_target(self, node):
        pass

    def visit_HideCodeCellNode(self, node):
        pass

    def visit_PassthroughTextElement(self, node):
        pass

    def add_caption(self, figure):
        numbers = self.builder.env.toc_fignumbers[self.docname]["figure"][figure["ids"][0]]
        self.add(f"**Figura {'.'.join(map(str, numbers))}.** ", 2)
        for child in next(figure.findall(nodes.caption)).children:
            child.walkabout(self)
        alt = html.escape(next(figure.findall(nodes.image))["alt"])
        self.add(f"<details><summary>Descripción de la figura</summary>{alt}</details>", 2, 2)

    def visit_admonition(self, node):
        self.add("---", 2, 2)

    depart_admonition = visit_admonition

    @pushing_context
    def visit_title(self, node):
        if isinstance(node.parent, nodes.admonition):
            self._push_context(contexts.WrappedContext("**", "**\n\n"))
            return
        super().visit_title(node)
        anchor = f"#{node.parent['ids'][0]}" if self.status.section_level > 1 else ""
        numbers = self.builder.env.toc_secnumbers.get(self.docname, {}).get(anchor)
        if numbers:
            self.add(".".join(map(str, numbers)) + ". ")

    def visit_math_block(self, node):
        tag = f"\\tag{{{get_node_equation_number(self, node)}}}" if node["number"] else ""
        self.add(f"$$\n{display_tex(node.astext())}{tag}\n$$", 2, 2)
        raise nodes.SkipNode

    @pushing_context
    def visit_reference(self, node):
        """A link to the site, if it has an address; or else only the text."""
        address = node.get("refuri", "")
        if "://" not in address:
            page = f"{self.docname}.html#{node['refid']}" if "refid" in node else posixpath.normpath(
                posixpath.join(posixpath.dirname(self.docname), address))
            address = self.config.html_baseurl and self.config.html_baseurl + page
        self._push_context(contexts.WrappedContext("[", f"]({address})") if address else contexts.SubContext())
        if isinstance(node.parent, nodes.inline) and "bibtex-citation" in node.parent["classes"]:
            self.works.add(re.sub(r"doi:(\S+)\.$", r"https://doi.org/\1", node["reftitle"]))


def prose(app, docname, doctree):
    translator = Translator(doctree, app.builder, docname)
    doctree.walkabout(translator)
    works = [f"- {work}" for work in sorted(translator.works)]
    return translator.astext() + "\n\n".join(["", "## Referencias", "\n".join(works)] if works else [])


def removed(cell):
    """Whether the page leaves this cell out."""
    return "remove-cell" in cell.metadata.get("tags", [])


def write_notebook(app, docname, template, context, doctree):
    """Sphinx handler: leave a chapter, with its outputs, among the site's notebooks."""
    executed = doctree and executed_chapter(app, docname)
    if not executed:
        return
    pieces = re.split("\0(\\d+)\0", prose(app, docname, doctree))
    first = pieces[0].strip()
    if app.config.html_baseurl:
        address = f"{app.config.html_baseurl}{docname}.html"
        first = f"*Capítulo del libro [{app.config.project}]({address}).*\n\n{first}"
    cells = [new_markdown_cell(first)]
    last = 0
    for index, text in zip(map(int, pieces[1::2]), pieces[2::2]):
        while index + 1 < len(executed.cells) and removed(executed.cells[index + 1]):
            index += 1  # lo que la página no muestra va donde está en el capítulo
        cells += [c for c in executed.cells[last:index + 1] if c.cell_type == "code"]
        last = index + 1
        if text.strip():
            cells.append(new_markdown_cell(text.strip()))
    cells += [c for c in executed.cells[last:] if c.cell_type == "code"]
    for number, cell in enumerate(cells):
        cell.id = f"celda-{number}"
        if FOLDED & set(cell.metadata.get("tags", [])):
            cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
    executed.cells = cells
    path = Path(app.outdir) / "notebooks" / f"{Path(docname).name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text(nbformat.writes(executed), "utf8")


def remove_stale(app, exception):
    """Sphinx handler: no notebook outlives its chapter."""
    names = {Path(docname).name for docname in app.env.found_docs}
    for path in (Path(app.outdir) / "notebooks").glob("*.ipynb"):
        if path.stem not in names:
            path.unlink()


def setup(app):
    app.setup_extension("sphinx_markdown_builder")
    contexts.tabulate = partial(contexts.tabulate, disable_numparse=True)  # 7.40 no es 7.4
    app.connect("html-page-context", write_notebook)
    app.connect("build-finished", remove_stale)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
