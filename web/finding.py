"""How a page is found: its description and social card, the sitemap, the 404 page, the map of the
chapters and the state of the book. Nothing here is typed: it is read from the chapters and from
their last execution.
"""

import ast
import html
import json
import platform
import re
import textwrap
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from execution import chapter_cost, code_hash, executed_chapter

STATE = "book/estado"
LENGTH = 160  # characters of a description that a search engine shows
PITCH, GUTTER = 64, 84  # of the map: height of a row, width of its arcs, in px


def description(doctree):
    """A page's first words, outside boxes and before any code; or else what its box promises."""
    boxes = (nodes.admonition, nodes.table, nodes.list_item, nodes.definition, nodes.citation)

    def plain(node):
        while (node := node.parent) and not isinstance(node, boxes):
            pass
        return not node

    words = ""
    for node in doctree.findall(lambda n: isinstance(n, (nodes.paragraph, nodes.container))):
        if node.get("nb_element") == "cell_code" or len(words) > LENGTH / 3:
            break
        if isinstance(node, nodes.paragraph) and plain(node) and not any(node.findall(nodes.math)):
            words = " ".join(f"{words} {node.astext()}".split())
    if not words:
        words = "; ".join(
            " ".join(item.astext().split()).rstrip(".")
            for box in doctree.findall(nodes.admonition)
            if "apertura" in box["classes"]
            for item in box.findall(nodes.list_item)
            if not any(item.findall(nodes.math))
        )
    sentences = re.match(rf".{{{LENGTH // 3},{LENGTH - 1}}}[.?!](?= |$)", words)
    return sentences[0] if sentences else textwrap.shorten(words, LENGTH, placeholder="…")


def describe_page(app, docname, template, context, doctree):
    """Sphinx handler: what a search engine and a social network show of a page."""
    site = app.config.html_baseurl
    context["site_root"] = urlsplit(site).path  # for the 404 page, which is served at any depth
    if doctree is None:
        return
    title = app.env.titles[docname].astext()
    if docname == app.config.root_doc:
        title = app.config.project
    text = description(doctree).removeprefix(f"{title} ") or f"{title}, del libro «{app.config.project}»."
    tags = [("name", "description", text)]
    if site:
        card = f"_static/tarjetas/{Path(docname).name}.png"
        draw_card(title, app.config.project, Path(app.outdir) / card)
        tags += [
            ("property", "og:type", "article"),
            ("property", "og:locale", "es"),
            ("property", "og:site_name", app.config.project),
            ("property", "og:title", title),
            ("property", "og:description", text),
            ("property", "og:url", f"{site}{docname}.html"),
            ("property", "og:image", site + card),
            ("property", "og:image:alt", title),
            ("name", "twitter:card", "summary_large_image"),
        ]
    context["metatags"] += "".join(
        f'\n<meta {kind}="{name}" content="{html.escape(value)}" />' for kind, name, value in tags
    )


def draw_card(title, project, path):
    """The picture that a social network shows with a link to a page: 1200 by 630 pixels."""
    from matplotlib.figure import Figure  # here: a build without cards starts sooner

    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="#0b6477", layout="none")
    title = textwrap.fill(title, 26)
    size = {"color": "white", "family": "DejaVu Serif", "x": 0.07}
    figure.text(s=title, y=0.88, va="top", fontsize=46, linespacing=1.25, **size)
    if title.replace("\n", " ") != project:
        figure.text(s=project, y=0.09, fontsize=24, **size)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor="#0b6477", bbox_inches=figure.bbox_inches)


def write_sitemap(app, exception):
    """Sphinx handler: the addresses of the pages, if the site has one."""
    if exception or app.builder.name != "html" or not app.config.html_baseurl:
        return
    urls = (f"{app.config.html_baseurl}{docname}.html" for docname in sorted(app.env.found_docs))
    (Path(app.outdir) / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        + "".join(f"<url><loc>{escape(url)}</loc></url>\n" for url in urls)
        + "</urlset>\n",
        "utf8",
    )


def prerequisites(source):
    """Labels of the chapters that an opening asks for, and of those that it says that help.

    What it asks for is the first clause of «Antes conviene…» and those that begin with «y»; after
    any other semicolon comes what helps.
    """
    before = re.search(r"^Antes conviene.*?^(?=:::|$)", source, re.M | re.S)
    needed, helpful = [], []
    for k, clause in enumerate(before[0].split(";") if before else []):
        labels = re.findall(r"\{ref\}`(?:[^`]*<)?(cap-[\w-]+)", clause)
        (needed if k == 0 or clause.strip().startswith("y ") else helpful).extend(labels)
    return needed, helpful


class ChapterMap(SphinxDirective):
    """``{mapa}``: the chapters in order, and an arc from each to those that need it."""

    def run(self):
        chapters = {}
        for docname in sorted(d for d in self.env.found_docs if re.match(r"book/\d\d-", d)):
            self.env.note_dependency(self.env.doc2path(docname))
            source = Path(self.env.doc2path(docname)).read_text("utf8")
            label = re.search(r"^\((cap-[\w-]+)\)=", source, re.M)[1]
            chapters[label] = int(Path(docname).name[:2]), *prerequisites(source)
        rows = list(chapters)
        listed = nodes.bullet_list(classes=["mapa"])
        for row, (label, (number, *asked)) in enumerate(chapters.items()):
            arcs, said = "", []
            for labels, style, words in zip(asked, ("", "ayuda"), ("después de", "ayuda leer")):
                known = sorted(rows.index(other) for other in labels if other in rows)
                arcs += "".join(arc(row - other, style) for other in known)
                if known:
                    said.append(f"{words} {joined([str(chapters[rows[k]][0]) for k in known])}")
            svg = f'<svg aria-hidden="true" width="{GUTTER}" height="{PITCH}">{arcs}</svg>'
            text = f"[{number}]{{.numero}} {{ref}}`{label}` [{'; '.join(said)}]{{.antes}}"
            listed += nodes.list_item("", nodes.raw("", svg, format="html"))
            listed[-1] += self.parse_text_to_nodes(text)
        return [listed]


def arc(rows, style):
    """SVG of an arc that comes down to a row from ``rows`` above."""
    x, y = GUTTER - 4, PITCH / 2
    bend = x - min(14 + 13 * rows**0.9, 1.3 * GUTTER)
    path = f"M{x} {y - rows * PITCH + 6:g}C{bend:.0f} {y - rows * PITCH + 6:g} {bend:.0f} {y - 4:g} {x} {y - 4:g}"
    return f'<path class="{style}" d="{path}m-6-4 6 4-6 4"/>'


def joined(words):
    """One, two y three."""
    return " y ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


class State(SphinxDirective):
    """``{estado}``: what the last execution of each chapter cost and checked, and with what."""

    def run(self):
        lines = [
            "| capítulo | celdas | salidas comparadas | comprobaciones | CPU (s) | memoria (MB) "
            "| errores atrapados |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        sums, path = [0] * 5, Path(self.env.srcdir) / "tests/mutants.json"
        mutants = json.loads(path.read_text("utf8")) if path.exists() else {}
        self.env.note_dependency(str(path))
        for docname, (code, *row) in sorted(self.env.executions.items()):
            sums = [a + b for a, b in zip(sums[:4], row)] + [max(sums[4], row[4])]
            measured = mutants.get(Path(docname).name, {})
            current = measured.get("code") == code
            lines.append(state_row(f"{{doc}}`/{docname}`", row, caught(measured) if current else "—"))
        lines.append(state_row("**todo el libro**", sums, ""))
        packages = ("torch", "numpy", "matplotlib", "scikit-learn", "jupyter-book")
        versions = [f"{name} {version(name)}" for name in packages]
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d, %H:%M UTC")
        lines += [
            "",
            f"Construido con Python {platform.python_version()}, {joined(versions)}, en una "
            f"máquina {platform.machine()} con {platform.system()}; "
            f"los datos son del [{now}]{{.costo}}.",
        ]
        return self.parse_text_to_nodes("\n".join(lines))


def last_execution(app, docname):
    """The hash of a chapter's code, and the numbers of its last execution; None without code."""
    notebook = executed_chapter(app, docname)
    if notebook is None:
        return None
    cells, cost = [c for c in notebook.cells if c.cell_type == "code"], chapter_cost(app.env, docname)
    return (code_hash(cells), len(cells), sum(map(compared, cells)), sum(map(checks, cells)),
            round(cost["cpu_seconds"]), round(cost["peak_mb"]))


def renew_state(app, env, docnames):
    """Sphinx handler: the page of the state is read again if a chapter was executed, or is gone."""
    before = getattr(env, "executions", {})
    kept = {d: before[d] for d in before if d in env.found_docs and d not in docnames}
    env.executions = kept | {d: found for d in docnames if (found := last_execution(app, d))}
    if env.executions != before and STATE in env.found_docs and STATE not in docnames:
        docnames.append(STATE)


def state_row(name, numbers, mutants):
    """A row of the state's table; what two machines measure differently is marked ``costo``."""
    *counts, seconds, memory = numbers
    cost = (f"[{number}]{{.costo}}" for number in (seconds, memory))
    return f"| {' | '.join([name, *map(str, counts), *cost, mutants])} |"


def caught(measured):
    """The part of a chapter's faults that it catches, as tests/mutants.py measured it."""
    low, high = (f"{100 * bound:.0f}" for bound in measured["interval"])
    return f"{measured['caught']} de {measured['n']} ({low} a {high} %)"


def compared(cell):
    """Whether the tests compare what a cell shows when they run it again."""
    return bool(cell.outputs) and "nbval-ignore-output" not in cell.metadata.get("tags", [])


def checks(cell):
    """How many statements of a cell stop it if something is not as it should: assert and kin."""
    return sum(
        isinstance(node, ast.Assert)
        or isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")).startswith("assert_")
        for node in ast.walk(ast.parse(cell.source))
    )


def setup(app):
    app.add_directive("mapa", ChapterMap)
    app.add_directive("estado", State)
    app.connect("env-before-read-docs", renew_state, priority=600)  # once they are executed
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
