"""What would leave a wrong site that looks right stops the build, or is made anew.

One build at a time in a folder; a valid _config.yml; sources in UTF-8; a sound execution cache; no
page that asks another site for anything.
"""

import errno
import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import yaml
from filelock import FileLock, Timeout
from jsonschema import Draft7Validator
from jupyter_book.config import PATH_JSON_SCHEMA
from sphinx.util import logging

ADDRESS = re.compile(r"""=\s*["']?((?:https?:)?//[^\s"'>]+)""", re.I)  # of another site
LOADED = re.compile(r"""<(?!a\b|link rel="canonical")[^>]*\b(?:src|srcset|href|poster|data|action)\s*$""", re.I)
logger = logging.getLogger(__name__)


def line_of(path, text):
    """The first line of a file that has the text; 1 if none has it."""
    lines = Path(path).read_text("utf8").splitlines()
    return next((n for n, line in enumerate(lines, 1) if text in line), 1)


def one_at_a_time(app, config):
    """Sphinx handler: a second build in the same folder stops; the system frees a dead one's lock."""
    app.folder_lock = FileLock(Path(app.outdir).parent / "en-uso.lock")
    try:
        app.folder_lock.acquire(timeout=0)
    except Timeout:
        raise SystemExit(
            f"Otra construcción está usando {Path(app.outdir).parent}: espera a que termine."
        ) from None


def check_config(app, config):
    """Sphinx handler: a value of the wrong type or an unknown key of _config.yml stops the build."""
    path = Path(app.srcdir) / "_config.yml"
    schema = json.loads(PATH_JSON_SCHEMA.read_text("utf8"))
    schema["properties"]["only_build_toc_files"] = {"type": "boolean"}
    for part in (schema, *schema["properties"].values()):
        if "properties" in part:
            part["additionalProperties"] = False
    found = []
    for error in Draft7Validator(schema).iter_errors(yaml.safe_load(path.read_text("utf8"))):
        key = error.path[-1] if error.path else ""
        if error.validator == "additionalProperties":
            key = re.search(r"'(.+?)' w", error.message)[1]
        found.append(f"{path}:{line_of(path, f'{key}:')}: {error.message}")
    if found:
        raise SystemExit("\n".join([*found, "Hay que corregir esas claves de la configuración."]))


def requests(page):
    """The addresses of other sites that a page loads; a link to them is not loaded."""
    found = ((match, page[page.rfind("<", 0, match.start()) : match.start()]) for match in ADDRESS.finditer(page))
    return sorted({match[1] for match, tag in found if LOADED.match(tag)})


def warn_of_requests(app, exception):
    """Sphinx handler: no page asks another site for anything."""
    if exception or app.builder.format != "html":
        return
    for page in sorted(Path(app.outdir).rglob("*.html")):
        docname = str(page.relative_to(app.outdir).with_suffix(""))
        source = app.env.doc2path(docname) if docname in app.env.found_docs else page
        for address in requests(page.read_text("utf8")):
            logger.warning(
                "pide %s a otro sitio: guardar una copia en figs/ o quitarlo", address,
                location=f"{source}:{line_of(source, address)}",
            )


def check_encoding(app, env, docnames):
    """Sphinx handler: a source that is not UTF-8 stops the build."""
    found = []
    for path in (Path(env.doc2path(docname)) for docname in docnames):
        try:
            path.read_text("utf8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            found.append(f"{path}:{line}: el archivo no está en UTF-8: hay que volver a guardarlo así")
    if found:
        raise SystemExit("\n".join(found))


def check_cache(app, env, docnames):
    """Sphinx handler: a damaged index of executions is dropped, and its chapters run again."""
    for path in Path(env.mystnb_config.execution_cache_path).parent.glob("*/global.db"):
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as index:
                (state,) = index.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:  # in use, or no room
            continue
        except sqlite3.DatabaseError as error:
            state = str(error)
        if state != "ok":
            logger.info("el caché de ejecuciones está dañado (%s): se empieza uno nuevo", state)
            shutil.rmtree(path.parent)


def explain_no_room(kind, error, trace):
    """Exception hook: after the trace, say so when what failed is writing on the disk."""
    sys.__excepthook__(kind, error, trace)
    while error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        if full or (isinstance(error, sqlite3.OperationalError) and "disk" in str(error)):
            sys.exit(
                "No hay lugar para escribir _build. Los archivos del libro están intactos: "
                "hay que hacer lugar y repetir la construcción."
            )
        error = error.__cause__ or error.__context__


def setup(app):
    sys.excepthook = explain_no_room
    app.connect("config-inited", one_at_a_time, priority=1)
    app.connect("config-inited", check_config, priority=2)
    app.connect("env-before-read-docs", check_encoding, priority=1)
    app.connect("env-before-read-docs", check_cache, priority=2)
    app.connect("build-finished", warn_of_requests)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
