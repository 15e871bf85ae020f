"""Serve the book in the current folder, build it whenever a source changes, and reload the open page.

The libraries are loaded once, and each build is a fork of this process. The script that reloads is
added to a page as it is served: no file of the site has it.
"""

import contextlib
import multiprocessing
import sys
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

SITE = Path("_build/html")
BUILT = Path("_build/.built")  # its date is that of the last build
SOURCES = ("book", "figs", "web", "_config.yml", "_toc.yml", "references.bib")
LIBRARIES = (
    "jupyter_book.sphinx", "myst_nb.sphinx_ext", "sphinx.builders.html", "sphinx.search.es",
    "sphinx_book_theme", "sphinx_design", "sphinx_external_toc", "sphinx_markdown_builder",
    "sphinxcontrib.bibtex",
)
SCRIPT = """<script>
(function wait() {
  fetch("/built?%d").then(() => location.reload(), () => setTimeout(wait, 1000));
})();
</script></body>"""
fork = multiprocessing.get_context("fork")


class Pages(SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=SITE)

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        built = BUILT.stat().st_mtime_ns
        if self.path == f"/built?{built}":
            while BUILT.stat().st_mtime_ns == built:
                time.sleep(0.1)
        if self.path.startswith("/built?"):
            return self.answer(b"")
        if path.suffix == ".html" and path.exists():
            page = path.read_text("utf8").replace("</body>", SCRIPT % built)
            return self.answer(page.encode())
        return super().do_GET()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments):
        pass


def dates():
    """The date of every source."""
    files = [path for name in SOURCES for path in (Path(name), *Path(name).rglob("[!.]*"))]
    return {p: p.stat().st_mtime_ns for p in files if p.is_file() and p.suffix != ".pyc"}


def build():
    from jupyter_book.cli.main import main

    start = time.perf_counter()
    builder = fork.Process(target=main, args=(["build", ".", "-n"],))
    builder.start()
    builder.join()
    BUILT.parent.mkdir(exist_ok=True)
    BUILT.touch()
    print(f"{time.perf_counter() - start:.1f} s", end=": ")


def answer(server):
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def serve(port):
    try:
        server = ThreadingHTTPServer(("localhost", port), Pages)
    except OSError as error:
        raise SystemExit(f"No se puede usar el puerto {port}: {error.strerror}") from None
    for name in LIBRARIES:
        import_module(name)
    seen = dates()
    build()
    fork.Process(target=answer, args=(server,), daemon=True).start()
    while True:
        print(f"http://localhost:{port}/ se renueva al guardar; Ctrl+C termina", flush=True)
        while True:
            time.sleep(0.2)
            with contextlib.suppress(FileNotFoundError):  # an editor was replacing it
                if (now := dates()) != seen:
                    break
        seen = now
        build()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
