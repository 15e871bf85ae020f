"""No page outlives what it was made from, and no warning is lost by building twice.

Sphinx reads a page again if its file is newer than the last reading, and trusts that the pages of
the last build were all written. Three things escape it: a file put back with its old date, a build
killed while it wrote, and a change in this folder's programs. A fourth is lost: the warnings of a
page that is not read again.
"""

import hashlib
from pathlib import Path

from sphinx.application import ENV_PICKLE_FILENAME

WEB = Path(__file__).parent


def digest(*paths):
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def changed_texts(app, env, added, changed, removed):
    """Sphinx handler: the pages whose text is not the one last read, whatever its date.

    The style and the scripts count as the home page's: Sphinx copies them if it writes some page.
    """
    before = getattr(env, "texts", {})
    env.texts = {docname: digest(Path(env.doc2path(docname))) for docname in env.found_docs}
    env.texts[app.config.root_doc] += digest(*(p for p in sorted(WEB.glob("static/**/*")) if p.is_file()))
    return [docname for docname, text in env.texts.items() if before.get(docname) != text]


def state(app):
    """The file that says how the last build ended, if not well: "writing" or "warned"."""
    return Path(app.doctreedir) / "state"


def start(app, config):
    """Sphinx handler: read all pages again after a build that was killed, or that warned."""
    last = state(app).read_text() if state(app).exists() else ""
    if last == "writing" or last == "warned" and (app.warningiserror or app.keep_going):
        (Path(app.doctreedir) / ENV_PICKLE_FILENAME).unlink(missing_ok=True)
        last = ""
    app.last_warned = last == "warned"


def write(app, builder):
    """Sphinx handler: from here on the environment promises pages that are not yet written."""
    state(app).write_text("writing")


def finish(app, exception):
    """Sphinx handler: all the pages are written."""
    if exception:
        return
    if app._warncount or app.last_warned:
        state(app).write_text("warned")
    else:
        state(app).unlink(missing_ok=True)


def setup(app):
    app.connect("config-inited", start)
    app.connect("env-get-outdated", changed_texts)
    app.connect("write-started", write)
    app.connect("build-finished", finish, priority=900)
    return {
        "env_version": int(digest(*sorted(WEB.glob("*.py")))[:12], 16),
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
