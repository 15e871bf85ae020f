"""The definitions of a chapter, taken from its cells without running its trainings."""

import ast
import dis
import functools
import re
from pathlib import Path
from types import CodeType, SimpleNamespace

BOOK = Path(__file__).parent.parent / "book"


def statements(path):
    """Top-level statements of a chapter's code cells, as (node, source)."""
    for cell in re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", path.read_text("utf8"), re.M | re.S):
        source = re.sub(r"\A(---\n.*?\n---\n|(:[^\n]*\n)+)", "", cell, flags=re.S)
        for node in ast.parse(source).body:
            first = min(n.lineno for n in (node, *getattr(node, "decorator_list", [])))
            yield node, "\n".join(source.splitlines()[first - 1:node.end_lineno])


def global_names(code):
    """Names that a code object, or a function defined in it, looks up in the module."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return found.union(*(global_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def bound_names(node):
    """Names that a definition or an assignment gives a value to."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {n.id for t in targets for n in ast.walk(t)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def needed(path, names):
    """The statements that names need, in the chapter's order: imports, dtype, first definitions.

    What is not an identifier is the beginning of a statement.
    """
    every, wanted, chosen = list(statements(path)), list(names), {}
    for k, (node, source) in enumerate(every):
        if isinstance(node, (ast.Import, ast.ImportFrom)) or source.startswith("torch.set_default"):
            chosen[k] = source
    while wanted:
        name = wanted.pop()
        k = next((k for k, (node, source) in enumerate(every) if name in bound_names(node)
                  or not name.isidentifier() and source.startswith(name)), None)
        if k is not None and k not in chosen:
            chosen[k] = every[k][1]
            wanted += global_names(compile(chosen[k], str(path), "exec"))
        elif k is None and name in names:
            raise SystemExit(f"{path}: no define {name}, que hace falta en bench/ o en tests/")
    return [chosen[k] for k in sorted(chosen)]


@functools.cache
def load(chapter, *names):
    """A namespace with names of a chapter (file name without .md), and what they need."""
    path, space = BOOK / f"{chapter}.md", {}
    exec(compile("\n".join(needed(path, names)), str(path), "exec"), space)
    return SimpleNamespace(**{k: v for k, v in space.items() if not k.startswith("__")})
