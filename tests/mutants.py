"""Mutation: which part of the faults of one token put in a chapter's code does the chapter catch?

    python tests/mutants.py [--count N] [--seed S] [book/NN-name.md ...]

A fault is an edit of the text of one cell: an operator, a sign, a comparison, ``and``/``or``, a
number, True/False, a dropped call, two swapped arguments, the bound of a slice, a negated condition.
Left out: imports, strings and formatting, the checks, what only draws or prints, ``glue``, and the
cells the reader fills in. It is caught if the chapter raises. A cell that takes three times its
normal CPU time and ten seconds more is a time-out, and a chapter that ends with other outputs only
changed them: neither counts as caught. Literal hyper-parameters (HYPER, DRAWS) are counted apart.

The chapter runs once; before each cell the process forks, and each child runs a faulty version of
that cell and the cells after it until one fails. Results go to tests/mutants.json and are not
repeated while the chapter's code is the same.
"""

import argparse
import ast
import contextlib
import datetime
import hashlib
import io
import json
import math
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path
from typing import NamedTuple

import yaml
from chapter_rules import ROOT, chapters, code_cells, tags
from execution import code_hash, kernel_environment

RESULTS = ROOT / "tests" / "mutants.json"
EQUIVALENT = ROOT / "tests" / "equivalents.yml"
GRACE = 10  # CPU seconds that a faulty cell may take beyond three times its own
TOKENS = {
    ast.Add: "+ -", ast.Sub: "- +", ast.Mult: "* /", ast.Div: "/ *", ast.Pow: "** *",
    ast.MatMult: "@ *", ast.FloorDiv: "// /", ast.Mod: "% *", ast.BitAnd: "& |", ast.BitOr: "| &",
    ast.BitXor: "^ &", ast.LShift: "<< >>", ast.RShift: ">> <<", ast.Lt: "< <= >=",
    ast.LtE: "<= < >", ast.Gt: "> >= <=", ast.GtE: ">= > <", ast.Eq: "== !=", ast.NotEq: "!= ==",
    ast.In: "in not_in", ast.NotIn: "not_in in", ast.Is: "is is_not", ast.IsNot: "is_not is",
    ast.And: "and or", ast.Or: "or and", ast.USub: "- ", ast.Not: "not ", ast.Invert: "~ ",
}  # the token, and what takes its place
DROPPED = {"detach", "clone", "copy", "eval", "train", "requires_grad_", "contiguous"}
UNITS = {"1", "1.0", "-1", "-1.0"}  # multiplying or dividing by them is the same
NO_GRAD = {"no_grad", "inference_mode"}
MACHINE = {"manual_seed", "set_num_threads"}  # neither is part of the chapter's argument
SYMMETRIC = {"equal", "array_equal", "allclose", "isclose", "maximum", "minimum", "max", "min", "hypot"}
# Data and training: a literal given to one of these names (variable, parameter or keyword)…
HYPER = re.compile(
    r"lr\w*|eta\w*|rate|momentum|betas|weight_decay|dropout|patience|epochs?|\w*steps?|runs?|rounds|"
    r"iterations?|max_\w+|repeats?|trials|tries|samples?|n|N|S|B|H|n_\w+|size|sizes\w*|\w*_size|"
    r"batch\w*|widths?|depths?|hidden|layers|points|counts?|copies|chains|burn|seeds?|random_state|"
    r"noise|sigma|\w*tol|tolerance_\w+|eps", re.I)
# …or to one of these calls; in range(), only if every argument is a literal.
DRAWS = {"linspace", "logspace", "geomspace", "rand", "randn", "randint", "integers", "normal",
         "uniform", "choice", "permutation", "randperm", "manual_seed", "default_rng", "SobolEngine",
         "Linear", "Dropout", "Embedding", "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}

ARRAYS = {"tensor", "array"}  # one row of numbers is data (a point, a signal); a matrix is structure


class Cell(NamedTuple):
    number: int
    line: int  # of the chapter, just above the first line of code
    source: str
    compared: bool  # its outputs are the same on every machine
    mutable: bool


class Mutant(NamedTuple):
    cell: int
    id: str
    line: int  # of the chapter
    original: str  # the lines it touches, before and after
    mutated: str
    source: str  # the faulty cell
    hyper: bool


def chapter(path):
    """The code cells of a chapter, as its notebook has them."""
    return [
        Cell(n, line, cell.source, "nbval-ignore-output" not in tags(cell), "exercise" not in tags(cell))
        for n, (line, cell) in enumerate(code_cells(path))
    ]


def last_name(function):
    return getattr(function, "attr", getattr(function, "id", ""))


def root(node):
    """The first name of a chain: ax of ax.spines["top"].set_visible(False)."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", None)


def names(node, context):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def walk(node, skip):
    yield node
    for child in ast.iter_child_nodes(node):
        if not skip(child):
            yield from walk(child, skip)


class Aside:
    """Which statements of a chapter are not its argument: they draw, print or check."""

    def __init__(self, trees):
        self.axes, self.checks, self.drawn = {"plt"}, set(), set()
        functions = [n for t in trees for n in ast.walk(t) if isinstance(n, ast.FunctionDef)]
        for node in functions:
            inside = list(ast.walk(node))
            if any(re.match("ax|fig", a.arg) for a in node.args.args) or "plt" in names(node, ast.Load):
                self.axes.add(node.name)
            elif any(isinstance(n, ast.Assert) for n in inside) and not any(
                    isinstance(n, ast.Return) and n.value for n in inside):
                self.checks.add(node.name)
        while True:  # names that only feed figures
            live = {n.id for t in trees for n in walk(t, lambda n: self.kind(n, t) == "draws")
                    if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            drawn = set()
            for tree in trees:
                for node in ast.walk(tree):
                    if isinstance(node, ast.stmt) and self.kind(node, tree) == "draws":
                        drawn |= names(node, ast.Load) - live
            if drawn <= self.drawn:
                break
            self.drawn |= drawn

    def kind(self, node, tree):
        """'draws', 'says' (prints or checks) or None, for a statement of a cell."""
        if isinstance(node, ast.FunctionDef):
            return "draws" if node.name in self.axes | {"glue"} else None
        if isinstance(node, ast.Assert):
            return "says"
        if isinstance(node, ast.For | ast.With | ast.If):
            kinds = {self.kind(n, tree) for n in node.body + getattr(node, "orelse", [])}
            return None if None in kinds else "says" if "says" in kinds else "draws"
        axes = self.axes_of(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call, name = node.value, last_name(node.value.func)
            if name in {"print", "glue", "display"} | self.checks or "assert" in name:
                return "says"
            return "draws" if {root(n) for n in [call.func, *call.args]} & axes else None
        if isinstance(node, ast.Assign):
            targets = set().union(*(names(t, ast.Store) for t in node.targets))
            return "draws" if root(node.value) in axes or targets and targets <= self.drawn else None
        return None

    def axes_of(self, tree):
        """plt, the functions that draw, and the names that a cell gives to figures and axes."""
        if not hasattr(tree, "axes"):
            found = set(self.axes)
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign) and root(node.value) in found:
                    found |= names(node.targets[0], ast.Store)
                if isinstance(node, ast.For | ast.comprehension):
                    target, feed = node.target, node.iter
                    if isinstance(feed, ast.Call) and last_name(feed.func) == "zip":
                        pairs = zip(getattr(target, "elts", []), feed.args)
                    else:
                        pairs = [(target, feed)]
                    found |= {n for t, f in pairs if root(f) in found for n in names(t, ast.Store)}
            tree.axes = found
        return tree.axes


def literal(node):
    return not any(isinstance(n, ast.Name | ast.Call | ast.JoinedStr) for n in ast.walk(node))


def hyper_nodes(tree):
    """The nodes of the literals that are hyper-parameters of data or training."""
    found, shaped = [], set()  # arrays that are given another shape: matrices
    for node in ast.walk(tree):
        pairs = []
        if isinstance(node, ast.Attribute) and node.attr in {"reshape", "view"}:
            shaped.add(node.value)
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts) if both else [(target, value)]
            pairs = [(last_name(t), v) for t, v in pairs]
        if isinstance(node, ast.arguments):
            pairs = [(a.arg, d) for a, d in zip(node.args[::-1], node.defaults[::-1])]
        if isinstance(node, ast.Call):
            pairs = [(k.arg or "", k.value) for k in node.keywords]
            name = last_name(node.func)
            flat = node.args and node not in shaped and isinstance(node.args[0], ast.List) and not any(
                isinstance(n, ast.List | ast.Tuple) for n in node.args[0].elts)
            if name in DRAWS or name == "range" and all(map(literal, node.args)) or name in ARRAYS and flat:
                found += filter(literal, node.args)
        found += [value for name, value in pairs if HYPER.fullmatch(name) and literal(value)]
    return {n for value in found for n in ast.walk(value)}


def edits(tree, data, aside):
    """Yield (begin, end, new text, name, is it a hyper-parameter?) for each fault of a cell."""
    starts = [0]
    for text in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    begin = lambda n: starts[n.lineno - 1] + n.col_offset  # noqa: E731
    end = lambda n: starts[n.end_lineno - 1] + n.end_col_offset  # noqa: E731
    text = lambda n: data[begin(n):end(n)].decode()  # noqa: E731
    hyper = hyper_nodes(tree)
    is_text = lambda n: isinstance(n, ast.JoinedStr) or isinstance(  # noqa: E731
        n, ast.Constant) and isinstance(n.value, str)
    left_out = (ast.Import, ast.ImportFrom, ast.JoinedStr, ast.arg)

    def token(operator, place, node):
        old, *new = TOKENS[type(operator)].split(" ")
        pattern = rb"(?:[\s)\\]|#[^\n]*\n)*(" + re.escape(old).replace("_", r"\s+").encode() + rb")"
        found = re.compile(pattern).match(data, place)
        for replacement in new:
            replacement = replacement.replace("_", " ")
            yield *found.span(1), replacement, f"{old}→{replacement}", node in hyper

    for node in walk(tree, lambda n: isinstance(n, left_out) or aside.kind(n, tree)):
        marked = node in hyper
        match node:
            case ast.BinOp(left=left, op=operator, right=right):
                same = isinstance(operator, ast.Mult | ast.Div) and ast.unparse(right) in UNITS
                if not is_text(left) and not is_text(right) and not same:
                    yield from token(operator, end(left), node)
            case ast.AugAssign(target=target, op=operator):
                yield from token(operator, end(target), node)
            case ast.UnaryOp(op=operator) if type(operator) in TOKENS:
                yield from token(operator, begin(node), node)
            case ast.Compare(left=left, ops=operators, comparators=others):
                for operator, before in zip(operators, [left, *others]):
                    yield from token(operator, end(before), node)
            case ast.BoolOp(op=operator, values=values):
                for value in values[:-1]:
                    yield from token(operator, end(value), node)
            case ast.Constant(value=bool() as value):
                yield begin(node), end(node), str(not value), f"{value}→{not value}", marked
            case ast.Constant(value=int() | float() as value):
                new = value + 1 if isinstance(value, int) or not value else 2 * value
                yield begin(node), end(node), repr(new), f"{value}→{new}", marked
            case ast.Slice():
                for bound in (node.lower, node.upper):
                    if bound and not literal(bound):
                        yield end(bound), end(bound), " + 1", "corrimiento", marked
            case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare):
                yield begin(test), end(test), f"not ({text(test)})", "negación", marked
            case ast.Expr(value=ast.Call(func=function)) if last_name(function) not in MACHINE:
                yield begin(node), end(node), "pass", "omisión", marked
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in NO_GRAD:
                yield begin(node), end(node), "torch.enable_grad()", "omisión", marked
            elif name in DROPPED and not node.args + node.keywords:
                yield end(node.func.value), end(node), "", f"sin {name}", marked
            one, two = node.args[:2] if len(node.args) > 1 else (None, None)
            kinds = {type(one), type(two)} & {type(None), ast.Starred, ast.GeneratorExp}
            if not kinds and name not in SYMMETRIC and not (is_text(one) and is_text(two)):
                between = data[end(one):begin(two)].decode()
                swapped = text(two) + between + text(one)
                yield begin(one), end(two), swapped, "intercambio", one in hyper and two in hyper


def mutants(cells):
    """Every fault of a chapter, in the order of its text."""
    trees = [ast.parse(cell.source) for cell in cells]
    aside, found = Aside(trees), []
    for cell, tree in zip(cells, trees):
        data, whole = cell.source.encode(), ast.dump(tree)
        for begin, end, new, name, hyper in edits(tree, data, aside) if cell.mutable else ():
            source = (data[:begin] + new.encode() + data[end:]).decode()
            try:
                if ast.dump(ast.parse(source)) == whole:
                    continue
            except SyntaxError:
                continue
            line = data.count(b"\n", 0, begin)
            column = begin - data.rfind(b"\n", 0, begin) - 1
            last, tail = data.count(b"\n", 0, end) + 1, source.count("\n") - cell.source.count("\n")
            join = lambda text, stop: " ".join(  # noqa: E731
                t.strip() for t in text.splitlines()[line:stop])
            found.append(Mutant(
                cell.number, f"{cell.number}:{line + 1}:{column}:{name}", cell.line + line + 1,
                join(cell.source, last), join(source, last + tail), source, hyper))
    return sorted(found, key=lambda m: (m.cell, int(m.id.split(":")[1]), int(m.id.split(":")[2])))


def equivalents(stem, found):
    """Ids of the faults that change nothing, as equivalents.yml says, with the reason."""
    ids = set()
    for entry in (yaml.safe_load(EQUIVALENT.read_text("utf8")) or {}).get(stem, []):
        same = {m.id for m in found
                if (m.original, m.mutated) == (entry["original"], entry["mutado"])}
        if not same or not entry["razón"]:
            raise SystemExit(f"{EQUIVALENT}: {stem}: ya no corresponde a nada, quitarlo: {entry}")
        ids |= same
    return ids


def forked(task):
    """The JSON result of ``task`` run in a child process; None if the child was killed."""
    with tempfile.TemporaryFile() as answer:
        sys.stdout.flush()
        child = os.fork()
        if not child:
            try:
                answer.write(json.dumps(task()).encode())
                answer.flush()
                os._exit(0)
            except SystemExit as error:
                print(error, file=sys.stderr)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit("El motivo está arriba.")
        answer.seek(0)
        return json.loads(answer.read() or "null")


def prepare(folder, **environment):
    """Make this process like a chapter's kernel; return the namespace of its cells."""
    (Path(folder) / "ipython").mkdir()
    (Path(folder) / "empty").mkdir()
    os.environ.update(kernel_environment(Path(folder) / "ipython"), MPLBACKEND="Agg", **environment)
    os.chdir(Path(folder) / "empty")
    import matplotlib.pyplot as plt  # now: they read the environment

    plt.show = lambda: plt.close("all")
    main = sys.modules["__main__"] = types.ModuleType("__main__")  # where pickle looks for classes
    main.display = lambda data, **_: print(data if isinstance(data, dict) else type(data))
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, resource.RLIM_INFINITY))
    return vars(main)


def play(cells, space, limits=None):
    """Run cells until one raises: CPU seconds and outputs of each; the error, with its line."""
    result = {"seconds": [], "outputs": []}
    for cell in cells:
        out, start = io.StringIO(), time.process_time()
        if limits:  # CPU seconds: what else the machine does is no fault. The signal ends the child
            signal.setitimer(signal.ITIMER_PROF, limits[cell.number])
            signal.alarm(900)  # for one that waits for ever
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(cell.source, f"<celda {cell.number}>", "exec", dont_inherit=True), space)
        except BaseException as error:
            where = [f.lineno for f in traceback.extract_tb(error.__traceback__)
                     if f.filename == f"<celda {cell.number}>"]
            result["line"] = cell.line + (where or [1])[-1]
            result["error"] = f"{type(error).__name__}: {error}".strip().split("\n")[0]
            break
        result["seconds"].append(time.process_time() - start)
        result["outputs"].append(out.getvalue() if cell.compared else "")
    return result


def read(path):
    return json.loads(path.read_text("utf8")) if path.exists() else {}


def write(path, results):
    """Replace a file of results: it is always whole."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf8")
    fresh.replace(path)


def wilson(good, n, z=1.96):
    """Wilson's 95 % interval for a fraction."""
    if not n:
        return [0, 1]
    centre, spread = good / n + z**2 / (2 * n), z * math.sqrt(good * (n - good) / n + z**2 / 4) / n
    return [round((centre + s * spread) / (1 + z**2 / n), 4) for s in (-1, 1)]


def summary(runs, found):
    """Counts of a chapter, hyper-parameters apart."""
    groups = {False: [], True: []}
    for mutant in found:
        groups[mutant.hyper] += [runs[mutant.id]] if mutant.id in runs else []
    count = {}
    for hyper, statuses in groups.items():
        tally = {s: statuses.count(s) for s in ("caught", "survived", "changed", "timeout", "equivalent")}
        tally["n"] = len(statuses) - tally["equivalent"]
        tally["interval"] = wilson(tally["caught"], tally["n"])
        count[hyper] = tally
    return count[False] | {"hyper": count[True], "mutants": len(found)}


def measure(path, count, seed, folder):
    """Try ``count`` faults of a chapter, hyper-parameters and equivalent ones aside."""
    cells = chapter(path)
    found, stem = mutants(cells), path.stem
    same, code = equivalents(stem, found), code_hash(cells)
    entry = read(RESULTS).get(stem, {})
    runs = entry["runs"] if entry.get("code") == code else {}
    runs = {i: s for i, s in runs.items() if s != "equivalent"} | {i: "equivalent" for i in same & set(runs)}
    order, todo = random.Random(seed).sample(found, len(found)), []
    for mutant in order:
        count -= not mutant.hyper and mutant.id not in same
        if count < 0:
            break
        if mutant.id in same:
            runs[mutant.id] = "equivalent"
        elif mutant.id not in runs:
            todo.append(mutant)

    def save():
        date = datetime.date.today().isoformat()
        entry = {"code": code, "date": date, "runs": runs} | summary(runs, found)
        write(RESULTS, read(RESULTS) | {stem: entry})

    space = prepare(folder) if todo else {}
    normal = forked(lambda: play(cells if todo else [], space))
    if "error" in normal:
        raise SystemExit(f"book/{path.name}:{normal['line']}: falla sin ningún cambio: {normal['error']}")
    limits = [3 * seconds + GRACE for seconds in normal["seconds"]]
    for cell in cells[:max((m.cell for m in todo), default=-1) + 1]:
        for mutant in (m for m in todo if m.cell == cell.number):
            rest = [cell._replace(source=mutant.source), *cells[cell.number + 1:]]
            result = forked(lambda: play(rest, space, limits))
            changed = result and result["outputs"] != normal["outputs"][cell.number:]
            runs[mutant.id] = ("timeout" if not result else "caught" if "error" in result
                               else "changed" if changed else "survived")
            save()
        if "error" in play([cell], space):
            raise SystemExit(f"book/{path.name}:{cell.line + 1}: la celda falló la segunda vez que se ejecutó")
    save()
    for mutant in found:
        if runs.get(mutant.id) in {"survived", "changed", "timeout"} and not mutant.hyper:
            print(f"book/{path.name}:{mutant.line}: {runs[mutant.id]}\n  - {mutant.original}\n  + {mutant.mutated}")
    result = summary(runs, found)
    low, high = (100 * x for x in result["interval"])
    print(f"{stem}: {result['caught']} de {result['n']} ({low:.0f} a {high:.0f} %), "
          f"{result['equivalent']} equivalentes; hiperparámetros: "
          f"{result['hyper']['caught']} de {result['hyper']['n']}")


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="*", type=Path, default=[p for p in chapters() if chapter(p)])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    chosen = options()
    for path in chosen.paths:
        with tempfile.TemporaryDirectory() as folder:
            forked(lambda: measure(path.absolute(), chosen.count, chosen.seed, folder))
