"""The mutation tool makes the faults it says, tells caught from not caught, and counts well."""

import subprocess
import sys

import pytest
import yaml
from chapter_rules import ROOT, chapters
from mutants import EQUIVALENT, Cell, chapter, equivalents, mutants, read, wilson
from robust import reseeded


def of(source):
    return mutants([Cell(0, 0, source, True, True)])


FAULTS = [
    ("y = a + b", "y = a - b"),
    ("y = (a - b) * c", "y = (a + b) * c"),
    ("y = (a -  # sin (c + d)\n     b) / c", "b) * c"),
    ("y = a**b", "y = a*b"),
    ("y = a @ b", "y = a * b"),
    ("y -= a", "y += a"),
    ("y = -a", "y = a"),
    ("y = a < b", "y = a >= b"),
    ("y = a < b", "y = a <= b"),
    ("y = a not in b", "y = a in b"),
    ("y = a and b", "y = a or b"),
    ("y = not a", "y =  a"),
    ("y = a[2]", "y = a[3]"),
    ("y = 0.5 * a", "y = 1.0 * a"),
    ("y = f(a, keepdim=True)", "y = f(a, keepdim=False)"),
    ("y = a[:n]", "y = a[:n + 1]"),
    ("y = a[1:]", "y = a[2:]"),
    ("y = f(a, b)", "y = f(b, a)"),
    ("y = a if b else c", "y = a if not (b) else c"),
    ("opt.zero_grad()", "pass"),
    ("loss.backward()", "pass"),
    ("y = a.detach()", "y = a"),
    ("with torch.no_grad():\n    y = a", "with torch.enable_grad():"),
    ("ñ = 'á'; y = a + b", "ñ = 'á'; y = a - b"),
]


@pytest.mark.parametrize("source, mutated", FAULTS)
def test_each_fault(source, mutated):
    assert mutated in [m.mutated for m in of(source)]


LEFT_OUT = [
    "import numpy as np",
    "assert a + b < 1",
    "np.testing.assert_allclose(a + b, c, rtol=2)",
    "print(a + b)",
    "y = f'{a + b:.2f}'",
    "glue('nombre', f'{a:.1f}')",
    "fig, (left, right) = plt.subplots(1, 2)\nfor k in (1, 2):\n    left.plot(x, k * y)\n    right.set(xlim=(0, 1))",
    "ends = [1, 2]\nfig, ax = plt.subplots()\nax.plot(ends, ends)",
    "def draw(ax, x):\n    y = x + 1\n    ax.plot(x, y)",
    "for a, b in zip(c[:1], d):\n    assert a == b",
    "def require(a, b):\n    assert a == b\nrequire(a + b, 3)",
]


@pytest.mark.parametrize("source", LEFT_OUT)
def test_left_out(source):
    assert of(source) == []


def test_a_fault_that_changes_nothing_is_not_made():
    assert [m.mutated for m in of("y = a * 1.0")] == ["y = a * 2.0"]


def test_a_name_that_is_also_checked_is_not_left_out():
    assert of("ends = [1, 2]\nfig, ax = plt.subplots()\nax.plot(ends, ends)\nassert ends == [1, 2]")


@pytest.mark.parametrize("source", [
    "lr = 0.1", "n_steps, noise = 10, 0.3", "y = f(x, epochs=3)", "def f(x, width=16):\n    pass",
    "for k in range(10):\n    pass", "x = torch.linspace(-2, 3, 51)", "x = rng.normal(size=(5, 2))"])
def test_hyper_parameters_are_a_class_of_their_own(source):
    assert of(source) and all(m.hyper for m in of(source))
    assert not any(m.hyper for m in of("for k in range(1, n):\n    y = 2 * k"))
    assert all(m.hyper for m in of("x = torch.tensor([0.5, 1.5])"))
    for matrix in ("[[1.0, -2.0], [3.0, 4.0]])", "[1.0, -2.0, 3.0, 4.0]).view(2, 2)"):
        assert not any(m.hyper for m in of(f"stencil = torch.tensor({matrix}"))


def test_the_cell_of_the_reader_is_left_out():
    assert mutants([Cell(0, 0, "y = a + b", True, False)]) == []


SAMPLE = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
---

```{code-cell} ipython3
import torch
```

```{code-cell} ipython3
checked, unchecked = float(3 * torch.tensor(5.0)), [
    4 * 7]
print(unchecked)
assert checked == 15
```

```{code-cell} ipython3
x = torch.ones(2, requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2, 2]
```

```{code-cell} ipython3
k = 0
while k < 2:
    k = k + 1
assert k == 2
```
"""


def measured(tmp_path, source):
    """What the tool prints and keeps after trying all the faults of a sample chapter."""
    path, results = tmp_path / "muestra.md", tmp_path / "results.json"
    path.write_text(source, "utf8")
    program = (
        "import pathlib, sys, tempfile, mutants\n"
        "path, results = map(pathlib.Path, sys.argv[1:])\n"
        "mutants.RESULTS, mutants.GRACE = results, 0.5\n"
        "folder = tempfile.TemporaryDirectory()\n"
        "mutants.forked(lambda: mutants.measure(path, 99, 0, folder.name))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path, results], cwd=ROOT / "tests",
                          capture_output=True, text=True)
    return done, read(results).get("muestra")


def test_what_is_caught_and_what_is_not(tmp_path):
    done, entry = measured(tmp_path, SAMPLE)
    runs = entry["runs"]
    assert {i: s for i, s in runs.items() if i.startswith("1:1:")} == {
        "1:1:27:3→4": "caught", "1:1:29:*→/": "caught", "1:1:44:5.0→10.0": "caught"}, done.stderr
    assert {s for i, s in runs.items() if i.startswith("1:2:")} == {"changed"}
    assert {s for i, s in runs.items() if i.startswith("2:")} == {"caught"}  # backward after a fork
    assert runs["3:3:10:+→-"] == "timeout"
    assert entry["n"] == len(runs) == sum(entry[s] for s in ("caught", "changed", "survived", "timeout"))
    assert "book/muestra.md:16: changed\n  - 4 * 7]\n  + 4 / 7]" in done.stdout


def test_a_chapter_that_fails_is_not_measured(tmp_path):
    done, entry = measured(tmp_path, SAMPLE.replace("k == 2", "k == 3"))
    assert done.returncode and entry is None
    assert "muestra.md:31: falla sin ningún cambio: AssertionError" in done.stderr


def test_every_equivalent_fault_exists():
    listed = yaml.safe_load(EQUIVALENT.read_text("utf8")) or {}
    paths = {path.stem: path for path in chapters()}
    for stem in listed:
        assert equivalents(stem, mutants(chapter(paths[stem])))


def test_an_equivalence_that_matches_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("mutants.EQUIVALENT", tmp_path / "e.yml")
    entry = {"original": "y = a + b", "mutado": "y = a - b", "razón": "b vale cero"}
    (tmp_path / "e.yml").write_text(yaml.safe_dump({"muestra": [entry]}), "utf8")
    assert equivalents("muestra", of("y = a + b")) == {"0:1:6:+→-"}
    with pytest.raises(SystemExit, match="ya no corresponde a nada"):
        equivalents("muestra", of("y = a * b"))


def test_wilson():
    assert wilson(57, 60) == [0.8630, 0.9829]  # Wilson (1927)
    assert wilson(0, 0) == [0, 1]


def test_every_chapter_takes_another_seed():
    for path in chapters():
        if cells := chapter(path):
            assert "98765" in reseeded(cells, 98765)[0].source
