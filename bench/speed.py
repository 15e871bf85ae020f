"""What building the book costs: ``make bench-speed`` measures it, in copies of the book.

Each measurement replaces its own in speed.json; speed.md and speed.svg, which the book includes,
come from it alone. ``python bench/speed.py growth`` repeats one of them, by its name in PARTS.
"""

import contextlib
import json
import math
import os
import platform
import re
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent
DATA = HERE / "speed.json"
BUILD = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n", "--keep-going"]
PARTS = "book", "changes", "tests", "growth"
SIZES = 5, 20, 80
CHAPTER = "book/08-residuales.md"  # where a sentence is added
SHORT = "book/02-grafo-computacional.md"  # where a cell is added
GROWTH = {  # measured at each size: name, unit and digits
    "full": ("construir todo, ya ejecutado", "s de CPU", 1),
    "prose": ("cambio de prosa", "s de CPU", 1),
    "none": ("sin cambios", "s de CPU", 1),
    "memory": ("memoria", "MB", 0),
    "site": ("sitio", "MB", 1),
}


def measure(command, folder, **environment):
    """Wall and CPU seconds of a command, and the peak of the memory of all its processes."""
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=os.environ | environment
        )
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(p.memory_info().rss for p in family))
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0.1)
        seconds = time.perf_counter() - start
        if process.returncode:
            log.seek(0)
            raise SystemExit(log.read().decode()[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 1), "cpu": round(cpu, 1), "memory": round(peak / 2**20)}


def thrice(command, folder, change=lambda i: None):
    """The median of three measurements, each after a change."""
    runs = []
    for i in range(3):
        change(i)
        runs.append(measure(command, folder))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def append(path, text):
    with path.open("a", encoding="utf8") as file:
        file.write(text)


def copy(folder):
    for name in ("_config.yml", "_toc.yml", "references.bib"):
        shutil.copy(ROOT / name, folder)
    for name in ("book", "figs", "web", "bench", "tests"):
        shutil.copytree(ROOT / name, folder / name)


def costs(folder):
    """Stored cost of every execution: file name -> dict, the newest last."""
    (path,) = folder.glob("_build/.jupyter_cache/*/global.db")
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT uri, data FROM nbcache ORDER BY pk").fetchall()
    return {Path(uri).name: json.loads(data) for uri, data in rows}


def built(folder):
    """Build a copy of the book; what this one has executed is not executed again."""
    copy(folder)
    if (ROOT / "_build/.jupyter_cache").exists():
        shutil.copytree(ROOT / "_build/.jupyter_cache", folder / "_build/.jupyter_cache")
    measure(BUILD, folder)


def book(folder):
    """The whole book, with nothing executed before."""
    copy(folder)
    result = {"cold": measure(BUILD, folder)}
    result["chapters"] = {
        name: round(cost["cpu_seconds"], 1) for name, cost in sorted(costs(folder).items())
    }
    return result


def changes(folder):
    """The book once more: with no change, with a change of prose and with one of code."""
    built(folder)
    result = {"none": thrice(BUILD, folder)}
    result["prose"] = thrice(
        BUILD, folder, lambda i: append(folder / CHAPTER, f"\nUna oración más, la {i}.\n")
    )
    append(folder / SHORT, "\n```{code-cell} ipython3\nmedida = 1\n```\n")
    result["code"] = measure(BUILD, folder)
    result["code"]["own"] = round(costs(folder)[Path(SHORT).name]["execution_seconds"], 1)
    return result


def tests(folder):
    """The notebooks of the site, executed and compared again as ``make test`` does."""
    built(folder)
    for notebook in sorted((folder / "_build/html/notebooks").glob("*.ipynb")):
        (folder / "nbval" / notebook.stem).mkdir(parents=True)
        shutil.copy(notebook, folder / "nbval" / notebook.stem)
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "tests/pytest.ini", "--rootdir", ROOT,
               "-p", "conftest", folder / "nbval"]
    return measure(command, folder, PYTHONPATH=str(ROOT / "tests"))


def growth(folder):
    """Books of copies of the template: as their code is the same, it is executed only once."""
    template = (ROOT / "book/_plantilla.md").read_text("utf8")
    result = []
    for size in SIZES:
        path = folder / str(size)
        path.mkdir()
        copy(path)
        shutil.rmtree(path / "book")
        (path / "book").mkdir()
        (path / "book/index.md").write_text("# Inicio\n", "utf8")
        toc = "format: jb-book\nroot: book/index\nparts:\n  - caption: Parte\n    numbered: 1\n    chapters:\n"
        for n in range(1, size + 1):
            text = re.sub(r"\b(cap|fig|eq)-plantilla", rf"\1-{n}", template)
            (path / f"book/{n:02}-copia.md").write_text(text.replace("# Título", f"# Título {n}"), "utf8")
            (path / "_toc.yml").write_text(toc := toc + f"      - file: book/{n:02}-copia\n", "utf8")
        if result:
            shutil.copytree(folder / str(SIZES[0]) / "_build/.jupyter_cache", path / "_build/.jupyter_cache")
        else:
            measure(BUILD, path)
            shutil.rmtree(path / "_build/.doctrees")
            shutil.rmtree(path / "_build/html")
        full = measure(BUILD, path)
        append(path / "book/01-copia.md", "\nUna oración más.\n")
        prose, none = measure(BUILD, path), measure(BUILD, path)
        site = sum(p.stat().st_size for p in (path / "_build/html").rglob("*") if p.is_file())
        result.append({
            "chapters": size, "full": full["cpu"], "prose": prose["cpu"], "none": none["cpu"],
            "memory": full["memory"], "site": round(site / 1e6, 1),
        })
    return result


def exponents(sizes, key):
    """Exponents of the growth: p of b·n^p between the two largest books, and p of a + b·n^p.

    The sizes are in geometric progression, so that (f3 - f2) / (f2 - f1) is their ratio to the p.
    The fixed part a is only told from the rest if that grows: None if it does not, or hardly.
    """
    (n1, f1), (n2, f2), (n3, f3) = ((row["chapters"], row[key]) for row in sizes)
    ratio = math.log(n3 / n2)
    grows = f2 > 1.1 * f1 and f3 > f2
    return math.log(f3 / f2) / ratio, math.log((f3 - f2) / (f2 - f1)) / ratio if grows else None


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": date.today().isoformat(), "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(), "memory": round(memory), "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def limits(data):
    """Each measurement of the book: its name, itself, and the most seconds that it should take."""
    book, changes = data["book"], data.get("changes", {})
    share = sum(book["chapters"].values()) / book["machine"]["cores"]
    rows = [
        ("cold", "todo, sin nada ejecutado", 1.15 * share + 30, "1.15 $C$ + 30"),
        ("none", "sin cambios", 5, "5"),
        ("prose", "un cambio de prosa", 6, "6"),
        ("code", "un cambio de código", changes.get("code", {}).get("own", 0) + 6, "el capítulo + 6"),
        ("tests", "los cuadernos, en las pruebas", 1.2 * share + 20, "1.2 $C$ + 20"),
    ]
    runs = {key: run for key, run in (book | changes | data).items() if "seconds" in run}
    return share, [(name, runs[key], limit, goal) for key, name, limit, goal in rows if key in runs]


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def where(m):
    return (f"Medido el {m['date']} con {m['cores']} núcleos ({m['cpu']}, {m['memory']} GB, Python {m['python']}); "
            f"la carga, al empezar, era {m['load']}: "
            "por encima de 0.5 hay otros programas que alargan los tiempos, y los segundos de CPU menos.\n")


def report(data):
    """The measurements as MyST."""
    parts = ["<!-- Lo escribe `make bench-speed` a partir de bench/speed.json: no se edita. -->\n"]
    if "book" in data:
        share, rows = limits(data)
        parts += [
            where(data["book"]["machine"]),
            f"Los capítulos requieren {sum(data['book']['chapters'].values()):.0f} s de CPU: $C$ = {share:.0f} s por núcleo.\n"
            f"Entre todos los procesos se ocupan a la vez hasta {data['book']['cold']['memory'] / 1024:.1f} GB.\n",
            table(["construcción", "CPU (s)", "tiempo (s)", "meta (s)", "razón"],
                  [[name, f"{run['cpu']:.1f}", f"{run['seconds']:.1f}",
                    f"{goal} = {limit:.0f}" if "+" in goal else goal, f"{run['seconds'] / limit:.2f}"]
                   for name, run, limit, goal in rows]),
        ]
    if "growth" in data:
        sizes, rows = data["growth"]["sizes"], []
        for key, (name, unit, digits) in GROWTH.items():
            whole, growing = exponents(sizes, key)
            growing = "—" if growing is None else f"{growing:.2f}"
            rows.append([f"{name} ({unit})", *(f"{r[key]:.{digits}f}" for r in sizes), f"{whole:.2f}", growing])
        parts += [
            "Unos libros de prueba, de $n$ copias de la plantilla, muestran cómo crece el costo: "
            "como $n^p$, y como $a+bn^q$ si se aparta lo que no depende de $n$ (una raya es que casi no crece).\n",
            where(data["growth"]["machine"]),
            table(["capítulos, $n$", *(r["chapters"] for r in sizes), "exponente $p$", "exponente $q$"], rows),
        ]
    return "\n".join(parts)


def draw(data, path):
    """The seconds of each chapter, which is what the book costs, and the growth of the rest."""
    os.environ |= {"SOURCE_DATE_EPOCH": "0", "MATPLOTLIBRC": str(ROOT / "web/matplotlibrc")}
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(6.4, 7.5), height_ratios=(3, 2), layout="constrained")
    chapters = data.get("book", {}).get("chapters", {})
    axes[0].barh([name.removesuffix(".md") for name in chapters], chapters.values())
    axes[0].invert_yaxis()
    axes[0].set_xlabel("CPU (s)")
    for key, style in (("full", "o-"), ("prose", "s-"), ("none", "^-")):
        rows = data.get("growth", {}).get("sizes", [])
        axes[1].loglog([r["chapters"] for r in rows], [r[key] for r in rows], style, label=GROWTH[key][0])
    axes[1].set(xlabel="capítulos", ylabel="CPU (s)", xticks=SIZES, xticklabels=SIZES)
    axes[1].yaxis.set_major_formatter("{x:g}")
    axes[1].yaxis.set_minor_formatter("{x:g}")
    axes[1].tick_params(axis="x", which="minor", labelbottom=False)
    axes[1].legend()
    figure.savefig(path)


def write(data):
    DATA.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf8")
    DATA.with_suffix(".md").write_text(report(data), "utf8")
    draw(data, DATA.with_suffix(".svg"))


def main(*names):
    for name in names or PARTS:
        data = json.loads(DATA.read_text("utf8")) if DATA.exists() else {}
        here = machine()
        with tempfile.TemporaryDirectory() as folder:
            result = globals()[name](Path(folder))
        data[name] = ({"sizes": result} if name == "growth" else result) | {"machine": here}
        write(data)
    print(DATA.with_suffix(".md").read_text("utf8"))


if __name__ == "__main__":
    main(*sys.argv[1:])
