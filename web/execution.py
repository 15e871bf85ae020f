"""Execute the chapters before Sphinx reads them.

Every stale chapter runs in an empty folder of its own, as many at once as there are cores, and its
outputs go to the jupyter-cache that myst-nb then reads. A failing cell stops the build before any
page is written, naming the file and the line.
"""

import hashlib
import inspect
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import myst_nb.core.execute.cache
import psutil
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from myst_nb.core.read import create_nb_reader, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sphinx.util import logging

WEB = Path(__file__).parent
ANSI = re.compile(r"\x1b\[[0-9;]*m")
logger = logging.getLogger(__name__)


class ChapterCache(JupyterCacheBase):
    """A cache of executions whose key is the code and the tags of the cells: captions are prose."""

    def create_hashed_notebook(self, nb, nb_metadata=("kernelspec",), cell_metadata=("tags",)):
        return super().create_hashed_notebook(nb, nb_metadata, cell_metadata)

    def match_cache_notebook(self, nb):
        """The record of the same code, if its notebook can still be read; or else KeyError."""
        record = super().match_cache_notebook(nb)
        try:
            self.get_cache_bundle(record.pk)
        except (KeyError, ValueError):  # lost, or cut short
            shutil.rmtree(self._get_notebook_path_cache(record.hashkey).parent, ignore_errors=True)
            raise KeyError(record.hashkey) from None
        return record

    def merge_match_into_notebook(self, nb, nb_meta=("kernelspec", "language_info"), cell_meta=()):
        return super().merge_match_into_notebook(nb, nb_meta, cell_meta)


def installed(*names):
    """Versions of the packages named, and of all that they need."""
    versions, pending = {}, list(names)
    while pending:
        name = canonicalize_name(pending.pop())
        if name in versions:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # needed on another platform
            continue
        versions[name] = package.version
        needs = [Requirement(text) for text in package.requires or []]
        pending += [r.name for r in needs if not r.marker or r.marker.evaluate({"extra": ""})]
    return versions


def fingerprint():
    """Hash of all that a chapter's outputs depend on besides its own code."""
    packages = installed("torch", "numpy", "matplotlib", "scikit-learn", "ipykernel", "nbclient")
    parts = [platform.python_version(), platform.machine(), *map(str, sorted(packages.items()))]
    parts += [(WEB / "matplotlibrc").read_text("utf8"), inspect.getsource(kernel_environment)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def kernel_environment(folder):
    """Environment in which a chapter runs: one thread, the book's figure style, vector figures."""
    profile = Path(folder) / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(
        'c.InlineBackend.figure_formats = {"svg"}\n'
        "c.HistoryManager.enabled = False\n"
        "c.IPKernelApp.log_level = 40\n",
        "utf8",
    )
    return os.environ | {
        "IPYTHONDIR": str(folder),
        "MATPLOTLIBRC": str(WEB / "matplotlibrc"),
        "OMP_NUM_THREADS": "1",
        "SOURCE_DATE_EPOCH": "0",  # no date inside the SVG files
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


class ChapterError(Exception):
    """A chapter's cell failed: ``line`` is its line in the source (1-based)."""

    def __init__(self, message, line):
        super().__init__(message)
        self.line = line


def run_chapter(notebook, source, timeout):
    """Execute ``notebook`` in place, in an empty folder; return its cost.

    ``source`` is the chapter's text, used to turn a failing cell into a line number. Returns a
    dict with ``execution_seconds`` (wall), ``cpu_seconds`` of the kernel process and of those it
    launched, and ``peak_mb`` of the kernel process. Raises ChapterError.
    """
    cost, running = {}, 0

    def on_cell_start(cell, cell_index):
        nonlocal running
        running = cell_index

    def on_cell_complete(cell, cell_index):
        kernel = psutil.Process(client.km.provisioner.pid)
        times = kernel.cpu_times()
        children = times.children_user + times.children_system  # processes a chapter launched
        cost["cpu_seconds"] = times.user + times.system + children
        status = Path(f"/proc/{kernel.pid}/status")
        peak = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
        cost["peak_mb"] = int(peak[1]) / 1024 if peak else kernel.memory_info().rss / 2**20

    start = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as cwd,
        tempfile.TemporaryDirectory() as ipython,
        tempfile.TemporaryFile() as kernel_log,  # the process's own words, not the cells'
    ):
        client = NotebookClient(
            notebook,
            timeout=timeout,
            record_timing=False,  # its metadata would change the cache key
            resources={"metadata": {"path": cwd}},
            on_cell_start=on_cell_start,
            on_cell_complete=on_cell_complete,
        )
        try:
            client.execute(env=kernel_environment(ipython), stderr=kernel_log)
        except CellExecutionError as error:
            trace = ANSI.sub("", error.traceback)
            lines = re.findall(r"Cell In\[\d+\], line (\d+)", trace)
            offset = int(lines[0]) if lines else 1
            line = cell_line(notebook, running, source) + offset
            raise ChapterError(f"{error.ename}: {error.evalue}\n{trace}", line) from error
        except (CellTimeoutError, DeadKernelError) as error:
            line = cell_line(notebook, running, source) + 1
            kernel_log.seek(0)
            said = kernel_log.read().decode("utf8", "replace")
            advice = (
                f"la celda no terminó en {timeout} s: acórtala, o sube execute/timeout en _config.yml"
                if isinstance(error, CellTimeoutError)
                else "el núcleo murió; si no dice por qué, al sistema le faltó memoria"
            )
            raise ChapterError(f"{type(error).__name__}: {advice}\n{said}", line) from error
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":  # a warning is a fault of the chapter
                line = cell_line(notebook, index, source) + 1
                raise ChapterError(f"la celda escribió en stderr:\n{output.text}", line)
    cost["execution_seconds"] = time.perf_counter() - start
    return cost


def cell_line(notebook, index, source):
    """Line (1-based) just above the first code line of a cell of a MyST notebook."""
    lines = source.splitlines()
    start = notebook.metadata["source_map"][index]
    code = notebook.cells[index].source.splitlines()
    for number in range(start, len(lines)):
        if lines[number : number + len(code)] == code:
            return number
    return start


def fill_cache(app, env, docnames):
    """Sphinx handler: execute, in parallel, the chapters about to be read that are not cached."""
    cache = ChapterCache(env.mystnb_config.execution_cache_path)
    pending = {}
    for docname in docnames:
        notebook = read_chapter(env, docname)
        if notebook is None:
            continue
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            path = Path(env.doc2path(docname))
            pending[docname] = (path, path.read_text("utf8"), notebook)
    failed = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = {}
        for docname, (path, source, notebook) in pending.items():
            timeout = env.mystnb_config.execution_timeout
            jobs[pool.submit(run_chapter, notebook, source, timeout)] = docname
            logger.info("ejecutando %s", docname)
        for job in as_completed(jobs):
            docname = jobs[job]
            path, _, notebook = pending[docname]
            try:
                cost = job.result()
            except ChapterError as error:
                failed.append(docname)
                logger.error(str(error), location=(docname, error.line))
                continue
            cache.cache_notebook_bundle(
                CacheBundleIn(notebook, str(path), data=cost), check_validity=False, overwrite=True
            )
            logger.info(
                "ejecutado %s en %.1f s (CPU %.1f s, %.0f MB)",
                docname,
                cost["execution_seconds"],
                cost["cpu_seconds"],
                cost["peak_mb"],
            )
    if failed:
        raise SystemExit(
            f"No se escribió ninguna página: falló la ejecución de {', '.join(sorted(failed))}. "
            "El archivo y la línea están arriba."
        )


def read_chapter(env, docname):
    """The notebook of a document, not executed; None if it is a page without code."""
    path = env.doc2path(docname)
    source = Path(path).read_text("utf8")
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, source)
    return reader and reader.read(source)


def executed_chapter(env, docname):
    """The notebook of a document with the outputs of its last execution; None if it has no code.

    What myst-nb leaves in _build/jupyter_execute has no outputs when they come from the cache.
    """
    notebook = read_chapter(env, docname)
    cache = ChapterCache(env.mystnb_config.execution_cache_path)
    return notebook and cache.merge_match_into_notebook(notebook)[1]


def chapter_cost(env, docname):
    """Cost of a chapter's last execution, as stored by ``fill_cache``; {} if it has no code."""
    notebook = read_chapter(env, docname)
    if notebook is None:
        return {}
    cache = ChapterCache(env.mystnb_config.execution_cache_path)
    return cache.match_cache_notebook(notebook).data


def set_cache_path(app, config):
    """Sphinx handler: a cache folder per environment, so that no output can be stale."""
    myst_nb.core.execute.cache.get_cache = ChapterCache
    config.nb_execution_cache_path = str(
        Path(app.outdir).parent / ".jupyter_cache" / fingerprint()
    )


def setup(app):
    app.connect("config-inited", set_cache_path)
    app.connect("env-before-read-docs", fill_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main(path):
    """Run one chapter alone, in an empty folder, and print its text outputs and its cost."""
    source = Path(path).read_text("utf8")
    notebook = read_myst_markdown_notebook(source, MdParserConfig(), add_source_map=True)
    try:
        cost = run_chapter(notebook, source, timeout=300)
    except ChapterError as error:
        raise SystemExit(f"{path}:{error.line}: {error}") from None
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                print(output.text, end="")
    print(f"{path}: CPU {cost['cpu_seconds']:.1f} s, {cost['peak_mb']:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
