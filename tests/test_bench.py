"""The benchmark: it measures the chapters' own code, and the page shows what was measured."""

import ast
import json
import re
import sys
from importlib.util import find_spec

import pytest
import torch
from chapter_rules import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import chapters  # noqa: E402
import problems  # noqa: E402
import run  # noqa: E402
import table  # noqa: E402
from settings import CODES, NAMES, SEEDS, SETTINGS, SHORTER  # noqa: E402

PAGE = ROOT / "book" / "mediciones.md"
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script")  # torch's own, as it is imported


@pytest.fixture(scope="module")
def rows():
    return run.read(run.RESULTS)


@pytest.fixture(autouse=True)
def default_dtype():
    yield
    torch.set_default_dtype(torch.float32)


def chapter(name):
    return chapters.BOOK / f"{name}.md"


def test_functions_are_the_chapters_own():
    """Every function taken is in the chapter's text, and the trainings are not run."""
    sources = chapters.needed(chapter(problems.EQUATIONS), ["heat", "burgers", "solve", "grid"])
    text = chapter(problems.EQUATIONS).read_text("utf8")
    assert all(source in text for source in sources)
    trained = {"bar", "theta_bar", "shock", "theta_shock", "table"}
    for node in ast.parse("\n".join(sources)).body:
        assert not chapters.bound_names(node) & trained
    p = problems.problem("heat", 0)
    assert p.theta0.dtype == torch.float64 and len(p.theta0) == 501
    p.equation(p.test, torch.zeros(len(p.orders), len(p.test), 1), None)


def test_a_missing_function_is_named(tmp_path):
    page = tmp_path / "capitulo.md"
    page.write_text("```{code-cell} ipython3\nx = 1\n```\n", "utf8")
    with pytest.raises(SystemExit, match="capitulo.md: no define solve"):
        chapters.needed(page, ["solve"])


def test_burgers_is_measured_on_the_whole_interval():
    p = problems.problem("burgers", 0)
    u = p.solution(p.theta0, p.test).reshape(256, 100)
    torch.testing.assert_close(u, -u.flip(0))
    start = p.test[:, 1] == 0
    torch.testing.assert_close(p.solution(p.theta0, p.test)[start], p.exact(p.test)[start])


def test_one_measurement_without_deepxde(monkeypatch):
    """This book's row, on a tiny case: three iterations, so one record at the end."""
    complete = problems.problem

    def tiny(name, seed):
        p = complete(name, seed)
        p.iterations = 7
        return p

    monkeypatch.setattr(problems, "problem", tiny)
    row = run.measure("poisson_1d", "libro", "float64", 1)
    assert [row[k] for k in run.KEY] == ["poisson_1d", "libro", "float64", 1]
    assert len(row["trace"]) == 2 and row["trace"][-1][1] == row["error"] < 2
    assert 0 < row["trace"][0][0] < row["trace"][1][0] == row["cpu_seconds"]


def test_time_to_an_error_counts_from_where_it_stays():
    trace = [(1, 0.5), (2, 0.01), (3, 0.2), (4, 0.02), (5, 0.01)]
    assert run.time_to(trace, 0.1) == 4 and run.time_to(trace, 0.6) == 1
    assert run.time_to(trace, 0.001) is None


def test_the_table_is_that_of_the_data(rows):
    assert run.TABLE.read_text("utf8") == table.render(rows), "make bench vuelve a escribir bench/table.md"
    assert "```{include} ../bench/table.md" in PAGE.read_text("utf8")


def test_every_problem_has_its_seeds_and_precisions(rows):
    measured = [tuple(r[k] for k in run.KEY) for r in rows]
    assert len(set(measured)) == len(measured)
    assert set(measured) == {(n, *c, s) for n in NAMES for c in CODES for s in SEEDS}


def test_the_time_to_reach_comes_from_the_trace(rows):
    again = []
    for r in rows:
        run.add(again, {k: v for k, v in r.items() if k != "book_seconds"})
    assert again == rows


def test_what_the_page_claims(rows):
    """Its prose, not its tables."""
    text = PAGE.read_text("utf8")
    assert {r["versions"]["DeepXDE"] for r in rows if r["code"] == "DeepXDE"} == set(re.findall(r"versión ([\d.]+\d)", text))
    assert "ocho del capítulo 16 y el oscilador" in text and set(NAMES) == set(SETTINGS) and len(NAMES) == 9
    assert "256 × 100 puntos" in text and len(problems.problem("burgers", 0).test) == 256 * 100
    assert "cada cinco iteraciones" in text and problems.EVERY == 5
    assert "la quinta parte" in text and SHORTER == 5
    other = [name for problem, name in NAMES.items() if not SETTINGS[problem]["same"]]
    section = text[text.index("## Dónde no hay demo"):text.index("## Qué no dice")]
    assert sorted(re.findall(r"^- \*\*(.*)\.\*\*", section, re.M)) == sorted(n[0].upper() + n[1:] for n in other)
    assert "un tercio" in section and all(3 * SETTINGS[p]["adam"] == SETTINGS["burgers"]["adam"] for p in ("wave", "schrodinger"))
    assert "Se usan 200" in section and SETTINGS["oscillator"]["domain"] == 200
    assert "salvo la de Poisson 2D" in text and [p for p in SETTINGS if SETTINGS[p].get("hard")] == ["poisson_2d"]
    assert "redes de cientos de parámetros" in text
    assert all(100 < len(problems.problem(name, 0).theta0) < 1000 for name in NAMES)


def test_both_environments_have_the_same_packages(rows):
    pins, book = ((ROOT / path).read_text("utf8") for path in ("bench/requirements.txt", "requirements.txt"))
    for package in ("torch", "numpy", "matplotlib"):
        assert re.search(rf"^{package}==\S+", pins, re.M)[0] == re.search(rf"^{package}==\S+", book, re.M)[0]
    for package, version in {v for r in rows for v in r["versions"].items()}:
        assert f"{package}=={version.partition('+')[0]} " in pins


@pytest.mark.skipif(not find_spec("deepxde"), reason="DeepXDE está en el entorno de make bench")
def test_one_measurement_with_deepxde():
    row = run.measure("poisson_1d", "DeepXDE", "float32", 0, adam=3)
    assert row["adam"] == 3 and 0 < row["error"] < 10
