"""Measure this book's code and DeepXDE on the same problems: python bench/run.py [--quick | --repeat].

One row per problem, code, precision and seed, kept in results.json as soon as it is measured:
what is there is not measured again, unless asked with --repeat.
"""

import json
import platform
import re
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import torch

import table
from problems import solve_by_book
from settings import CODES, KEY, NAMES, SEEDS

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
TABLE = HERE / "table.md"
QUICK = HERE.parent / "_build" / "bench-quick.json"


def processor():
    """The processor's name, as the system gives it."""
    cpus = Path("/proc/cpuinfo")
    found = cpus.exists() and re.search(r"model name\s*: (.*)", cpus.read_text("utf8"))
    return found[1] if found else platform.processor() or platform.machine()


def read(path):
    """The rows measured so far."""
    return json.loads(path.read_text("utf8")) if path.exists() else []


def write(path, rows):
    """Keep the rows, one a line, never half of them."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n", "utf8")
    part.replace(path)


def time_to(trace, error):
    """CPU seconds after which the error stays at or below the given one; None if it never does."""
    late = [k for k, (_, e) in enumerate(trace) if e > error]
    after = trace[late[-1] + 1:] if late else trace
    return after[0][0] if after else None


def rounded(x):
    """Three significant digits, for whatever of a row is a measurement."""
    if isinstance(x, (list, tuple)):
        return [rounded(v) for v in x]
    return float(f"{x:.3g}") if isinstance(x, float) else x


def measure(name, code, precision, seed, **limits):
    """One row, on one thread; limits are passed on to DeepXDE."""
    torch.set_num_threads(1)
    if code == "libro":
        row, used = solve_by_book(name, seed), ("torch",)
    else:
        from demos import solve_by_deepxde  # here, because the rest does without DeepXDE
        row, used = solve_by_deepxde(name, seed, precision, **limits), ("DeepXDE", "torch")
    return {**dict(zip(KEY, (name, code, precision, seed))), **{k: rounded(v) for k, v in row.items()},
            "versions": {package: version(package) for package in used},
            "machine": processor(), "date": date.today().isoformat()}


def add(rows, row):
    """Add a row, and the time that this book's code takes to each error of DeepXDE."""
    rows.append(row)
    traces = {(r["problem"], r["seed"]): r["trace"] for r in rows if r["code"] == "libro"}
    for r in rows:
        if r["code"] == "DeepXDE" and (trace := traces.get((r["problem"], r["seed"]))):
            r["book_seconds"] = time_to(trace, r["error"])


def main(quick, repeat):
    """Measure what is missing, the first seed of everything first, and write the table."""
    names, seeds = (NAMES, SEEDS) if not quick else (("poisson_1d", "wave"), SEEDS[:1])
    path = QUICK if quick else RESULTS
    rows = [] if quick or repeat else read(path)
    done = {tuple(r[k] for k in KEY) for r in rows}
    missing = [key for seed in seeds for n in names for c in CODES if (key := (n, *c, seed)) not in done]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(measure, *key) for key in missing]):
            row = future.result()
            add(rows, row)
            write(path, rows)
            print(f"{NAMES[row['problem']]:12} {row['code']:8} {row['precision']} semilla {row['seed']}: "
                  f"error {row['error']:.1e}, {row['cpu_seconds']:.0f} s de CPU", flush=True)
    if quick:
        print(table.render(rows))
    else:
        TABLE.write_text(table.render(rows), "utf8")


if __name__ == "__main__":
    main("--quick" in sys.argv, "--repeat" in sys.argv)
