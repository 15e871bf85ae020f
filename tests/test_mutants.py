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


def test_a_name_that_is_also_checked_is_not_left_out():
    assert of("ends = [1, 2]\nfig, ax = plt.subplots()\nax.plot(ends, ends)\nassert ends == [1, 2]")


@pytest.mark.parametrize("source", [
    "lr = 0.1", "n_steps, noise = 10, 0.3", "y = f(x, epochs=3)", "def f(x, width=16):\n    pass",
    "for k in range(10):\n    pass", "x = torch.linspace(-2, 3, 51)", "x = rng.normal(size=(5, 2))"])
def test_hyper_parameters_are_a_class_of_their_own(source):
    assert of(source) and all(m.hyper for m in of(source))
    assert not any(m.hyper for m in of("for k in range(1, n):\n    y = 2 * k"))


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

```{{code-cell}} ipython3
import torch
```

```{{code-cell}} ipython3
y = {code}
print(y)
```

```{{code-cell}} ipython3
{check}
```
"""


def measured(tmp_path, code, check):
    """Statuses of all the faults of a sample chapter, measured by the tool itself."""
    path, results = tmp_path / "muestra.md", tmp_path / "results.json"
    path.write_text(SAMPLE.format(code=code, check=check), "utf8")
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


def test_a_good_check_catches(tmp_path):
    done, entry = measured(tmp_path, "float(3 * torch.tensor(5.0) - 1)", "assert y == 14")
    assert (entry["n"], entry["caught"]) == (5, 5), done.stderr
    assert "5 de 5 (57 a 100 %)" in done.stdout


def test_a_missing_check_lets_live(tmp_path):
    done, entry = measured(tmp_path, "float(3 * torch.tensor(5.0) - 1)", "assert y > -9")
    assert entry["n"] == entry["changed"] == 5, done.stderr
    assert "- y = float(3 * torch.tensor(5.0) - 1)" in done.stdout
    assert "muestra.md:15: changed" in done.stdout


def test_a_time_out_is_not_caught(tmp_path):
    _, entry = measured(tmp_path, "0\nwhile y < 2:\n    y = y + 1", "assert y == 2")
    slow = [i for i, status in entry["runs"].items() if status == "timeout"]
    assert entry["timeout"] == len(slow) > 0 and any("+→-" in i for i in slow)


def test_backward_works_in_the_children(tmp_path):
    _, entry = measured(tmp_path, "torch.ones(2, requires_grad=True)\n(y * y).sum().backward()",
                        "assert y.grad.tolist() == [2, 2]")
    assert entry["n"] == entry["caught"] > 2


def test_a_chapter_that_fails_is_not_measured(tmp_path):
    done, entry = measured(tmp_path, "1", "assert y == 2")
    assert done.returncode and entry is None
    assert "muestra.md:20: falla sin ningún cambio: AssertionError" in done.stderr


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
