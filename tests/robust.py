"""Does every claim of a chapter hold with another seed, other vector instructions, other threads?

    python tests/robust.py [--count N] [--seeds "S ..."] [book/NN-name.md ...]

The seeds come from the clock and are printed; each one also says on which of the four MACHINES it
runs (its remainder by four), so that --seeds repeats a run. A seed takes the place of the literals
that SEED finds in the chapter's first cell. Results are added to tests/robust.json while the
chapter's code is the same.
"""

import argparse
import datetime
import random
import re
import sys
import tempfile
import time
from pathlib import Path

from chapter_rules import ROOT, chapters
from mutants import chapter, code_hash, forked, play, prepare, read, write

RESULTS = ROOT / "tests" / "robust.json"
MACHINES = [("default", "1"), ("avx2", "1"), ("default", "2"), ("avx2", "2")]
SEED = re.compile(r"(manual_seed\(|default_rng\(|^seed = |^SEED = )\d+", re.M)


def reseeded(cells, seed):
    """The cells of a chapter with another seed."""
    source, times = SEED.subn(rf"\g<1>{seed}", cells[0].source)
    if not times:
        raise SystemExit(f"línea {cells[0].line + 1}: la primera celda no tiene una semilla literal")
    return [cells[0]._replace(source=source), *cells[1:]]


def run(path, seed):
    """Run a chapter once, keep the result, and return what failed, if something did."""
    cells, (capability, threads) = chapter(path), MACHINES[seed % 4]

    def fresh():
        with tempfile.TemporaryDirectory() as folder:
            space = prepare(folder, ATEN_CPU_CAPABILITY=capability, OMP_NUM_THREADS=threads)
            return play(reseeded(cells, seed), space, [300] * len(cells))

    result = forked(fresh) or {"error": "una celda pasó de 300 s", "line": cells[0].line}
    failure = f"book/{path.name}:{result['line']}: {result['error']}" if "error" in result else None
    results, code = read(RESULTS), code_hash(cells)
    entry = results.get(path.stem, {})
    runs = entry["runs"] if entry.get("code") == code else {}
    runs[str(seed)] = {"cpu": capability, "threads": int(threads), "failure": failure,
                       "date": datetime.date.today().isoformat()}
    held = sum(r["failure"] is None for r in runs.values())
    write(RESULTS, results | {path.stem: {"code": code, "n": len(runs), "held": held, "runs": runs}})
    print(f"{path.stem}: semilla {seed}, {capability}, {threads} hilos: {failure or 'se cumple'}")
    return failure


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="*", type=Path, default=[p for p in chapters() if chapter(p)])
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seeds", default="")
    chosen = parser.parse_args()
    draw = random.Random(time.time_ns())
    seeds = list(map(int, chosen.seeds.split())) or [
        4 * draw.randrange(2**28) + k % 4 for k in range(chosen.count)]
    print(f'Para repetir: make robust SEEDS="{" ".join(map(str, seeds))}"')
    failures = [run(path, seed) for path in chosen.paths for seed in seeds]
    sys.exit("\n".join(filter(None, failures)) or 0)
