"""The published measurements: the table says what the data say."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import pinn  # noqa: E402

RESULTS = json.loads((ROOT / "bench/pinn.json").read_text())


def test_table_is_made_from_the_data():
    assert (ROOT / "bench/pinn.md").read_text("utf-8") == pinn.table(RESULTS)


@pytest.mark.parametrize("name", RESULTS)
def test_every_problem_has_every_run(name):
    done = sorted((run["code"], run["seed"]) for run in RESULTS[name]["runs"])
    assert done == sorted((code, seed) for code in pinn.CODES for seed in pinn.SEEDS)


def test_time_to_an_error_is_the_last_crossing():
    run = {"curve": [(1, 1e-1), (2, 1e-3), (3, 5e-2), (4, 1e-4)]}
    assert pinn.seconds_to(run, 1e-2) == 4
    assert pinn.seconds_to(run, 1e-1) == 1
    assert pinn.seconds_to(run, 1e-5) == float("inf")
    assert pinn.seconds_to({"curve": pinn.thin(run["curve"])}, 1e-2) == 4
