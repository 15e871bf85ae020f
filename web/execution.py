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
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import myst_nb.core.execute.cache
import psutil
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from myst_nb.core.read import (
    MystMetadataParsingError,
    create_nb_reader,
    is_myst_markdown_notebook,
    read_myst_markdown_notebook,
)
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sphinx.util import logging

WEB = Path(__file__).parent
ANSI = re.compile(r"\x1b\[[0-9;]*m")
logger = logging.getLogger(__name__)
chapters = {}  # name of each page read in this build: its text and its notebook


class ChapterCache(JupyterCacheBase):
    """A cache of executions whose key is the code and the tags of the cells: captions are prose.

    An entry that is not whole (a build killed midway, a damaged file) is no entry.
    """

    whole = set()  # keys of the entries already checked

    def create_hashed_notebook(self, nb, nb_metadata=("kernelspec",), cell_metadata=("tags",)):
        return super().create_hashed_notebook(nb, nb_metadata, cell_metadata)

    def match_cache_notebook(self, nb):
        record = super().match_cache_notebook(nb)
        if record.hashkey not in self.whole:
            try:
                stored = self.get_cache_bundle(record.pk).nb
                if self.create_hashed_notebook(stored)[1] != record.hashkey:
                    raise KeyError(record.hashkey)
            except (KeyError, ValueError):  # absent, not a notebook, or the notebook of other code
                folder = self._get_notebook_path_cache(record.hashkey).parent
                shutil.rmtree(folder, ignore_errors=True)
                raise KeyError(record.hashkey) from None
            self.whole.add(record.hashkey)
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
        'c.InlineBackend.figure_formats = {"svg", "png"}\n'  # png: for who does not trust an svg
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
    launched, ``cells`` (those of each code cell) and ``peak_mb`` of the kernel process. Raises
    ChapterError.
    """
    cost, running = {"cpu_seconds": 0, "cells": []}, 0

    def on_cell_start(cell, cell_index):
        nonlocal running
        running = cell_index

    def on_cell_executed(cell, cell_index, execute_reply):
        kernel = psutil.Process(client.km.provisioner.pid)
        before, cost["cpu_seconds"] = cost["cpu_seconds"], sum(kernel.cpu_times()[:4])
        cost["cells"].append(round(cost["cpu_seconds"] - before, 2))
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
            coalesce_streams=True,  # how many pieces a text arrives in depends on the clock
            resources={"metadata": {"path": cwd}},
            on_cell_start=on_cell_start,
            on_cell_executed=on_cell_executed,
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


def last_costs(folder):
    """CPU seconds of the last execution of each chapter (by file name) in any environment."""
    caches = sorted(folder.glob("*/global.db"), key=lambda path: path.stat().st_mtime)
    records = [r for path in caches for r in ChapterCache(path.parent).list_cache_records()]
    return {Path(r.uri).name: r.data.get("cpu_seconds", 0) for r in records}


def fill_cache(app, env, docnames):
    """Sphinx handler: execute, in parallel, the chapters about to be read that are not cached.

    The costliest start first, so that the cores finish together: by the cost of the last execution
    or, if there was none, by the budget.
    """
    cache = ChapterCache(env.mystnb_config.execution_cache_path)
    budgets, costs, pending = env.config.cpu_budget, last_costs(cache.path.parent), {}
    for docname in docnames:
        notebook = read_chapter(env, docname)
        if notebook is None:
            continue
        path = Path(env.doc2path(docname))
        source, budget = path.read_text("utf8"), budgets.get(docname, budgets["default"])
        try:
            check_budget(path, budget, notebook, source, cache.match_cache_notebook(notebook).data)
        except KeyError:
            pending[docname] = path, source, notebook, budget
    queue = sorted(pending, key=lambda d: -costs.get(pending[d][0].name, pending[d][3]))
    waiting, failed = list(queue), []

    def execute(docname):
        path, source, notebook, _ = pending[docname]
        waiting.remove(docname)
        logger.info("ejecutando %s (quedan %d por empezar)", docname, len(waiting))
        return run_chapter(notebook, source, env.mystnb_config.execution_timeout)

    # A chapter may need 1 GB: a machine short of memory executes fewer at once.
    room = max(1, psutil.virtual_memory().available // 2**30)
    pool = ThreadPoolExecutor(max_workers=min(os.cpu_count(), room))
    try:
        jobs = {pool.submit(execute, docname): docname for docname in queue}
        for job in as_completed(jobs):
            docname = jobs[job]
            path, source, notebook, budget = pending[docname]
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
            check_budget(path, budget, notebook, source, cost)
    except BaseException:  # interrupted: leave no kernel behind
        pool.shutdown(wait=False, cancel_futures=True)
        for kernel in psutil.Process().children():
            kernel.kill()
        raise
    pool.shutdown()
    if failed:
        raise SystemExit(
            f"No se escribió ninguna página: falló la ejecución de {', '.join(sorted(failed))}. "
            "El archivo y la línea están arriba."
        )


def cell_costs(notebook, source, cost):
    """CPU seconds, line and first line of each cell that ran, the costliest first."""
    ran = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()]
    return sorted(
        (
            (seconds, cell_line(notebook, index, source) + 1, notebook.cells[index].source)
            for index, seconds in zip(ran, cost.get("cells", []))
        ),
        reverse=True,
    )


def check_budget(path, budget, notebook, source, cost):
    """Name the costliest cell of a chapter over its budget. It is advice: -W does not see it."""
    if cost["cpu_seconds"] <= budget:
        return
    for seconds, line, code in cell_costs(notebook, source, cost)[:1]:
        logger.info(
            "%s:%d: el capítulo requiere %.0f s de CPU y su presupuesto es de %.0f s; "
            "la celda más costosa, de %.1f s, empieza con: %s",
            path, line, cost["cpu_seconds"], budget, seconds, code.partition("\n")[0],
            color="yellow",
        )


def code_hash(cells):
    """Hash of the code of a chapter's cells: what was measured on it holds while it is the same."""
    return hashlib.sha256("\0".join(cell.source for cell in cells).encode()).hexdigest()[:16]


def parse(read, source, path):
    """The notebook that ``read`` makes of a source; cell options that are not YAML say where."""
    try:
        return read(source)
    except MystMetadataParsingError as error:
        line = re.search(r"at line (\d+)", str(error))[1]
        raise SystemExit(
            f"{path}:{line}: las opciones de la celda no son YAML: un texto que tiene «: » va entre comillas"
        ) from None


def read_chapter(env, docname):
    """The notebook of a document, read once per build; None if it is a page without code."""
    path = env.doc2path(docname)
    source = Path(path).read_text("utf8")
    if chapters.get(docname, [None])[0] != source:
        reader = create_nb_reader(path, env.myst_config, env.mystnb_config, source)
        chapters[docname] = source, reader and parse(reader.read, source, path)
    return chapters[docname][1]


def executed_chapter(app, docname):
    """The notebook of a document with the outputs of its last execution; None if it has no code.

    What myst-nb leaves in _build/jupyter_execute has no outputs when they come from the cache.
    A page may be written again without being read, when its execution is no longer in the cache.
    """
    notebook = read_chapter(app.env, docname)
    if notebook is None:
        return None
    cache = ChapterCache(app.env.mystnb_config.execution_cache_path)
    try:
        return cache.merge_match_into_notebook(notebook)[1]
    except KeyError:
        fill_cache(app, app.env, [docname])
        return cache.merge_match_into_notebook(notebook)[1]


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
    app.add_config_value("cpu_budget", {}, "")
    app.connect("config-inited", set_cache_path)
    app.connect("env-before-read-docs", fill_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def load(path):
    """The text and the notebook of a chapter, outside Sphinx."""
    source = Path(path).read_text("utf8")
    read = partial(read_myst_markdown_notebook, config=MdParserConfig(), add_source_map=True)
    return source, parse(read, source, path)


def main(path):
    """Run one chapter alone, in an empty folder, and print its text outputs and its cost."""
    source, notebook = load(path)
    try:
        cost = run_chapter(notebook, source, timeout=300)
    except ChapterError as error:
        raise SystemExit(f"{path}:{error.line}: {error}") from None
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                print(output.text, end="")
    print(f"{path}: CPU {cost['cpu_seconds']:.1f} s, {cost['peak_mb']:.0f} MB")


def profile(count=30):
    """Print the cells that cost most in the last execution of each chapter."""
    cache, cells, unknown = ChapterCache(Path("_build/.jupyter_cache") / fingerprint()), [], []
    for path in sorted(Path("book").glob("[!_]*.md")):
        if not is_myst_markdown_notebook(path.read_text("utf8")):
            continue
        source, notebook = load(path)
        try:
            costs = cell_costs(notebook, source, cache.match_cache_notebook(notebook).data)
        except KeyError:
            costs = []
        cells += [(seconds, f"{path}:{line}", code.partition("\n")[0]) for seconds, line, code in costs]
        if not costs:
            unknown.append(path.name)
    for seconds, place, code in sorted(cells, reverse=True)[:count]:
        print(f"{seconds:7.1f} s  {place:<44}  {code}")
    if unknown:
        print("Sin segundos por celda hasta que se ejecuten otra vez:", *unknown)


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) > 1 else profile()
