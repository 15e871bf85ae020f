"""What the book says that it costs is what was measured."""

import json
import sys

import pytest
from chapter_rules import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import speed  # noqa: E402


def test_the_report_is_that_of_the_data():
    data = json.loads(speed.DATA.read_text("utf8"))
    assert speed.DATA.with_suffix(".md").read_text("utf8") == speed.report(data)


def test_the_exponents_are_those_of_the_growth():
    sizes = [{"chapters": n, "f": 3 + 2 * n**1.5, "fixed": 7} for n in (5, 20, 80)]
    whole, growing = speed.exponents(sizes, "f")
    assert growing == pytest.approx(1.5) and 1 < whole < 1.5
    assert speed.exponents(sizes, "fixed") == (0, None)


def test_a_measurement_counts_the_processes_launched(tmp_path):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'b = bytearray(10**8); sum(range(10**7))'])"
    run = speed.measure([sys.executable, "-c", code], tmp_path)
    assert run["cpu"] > 0 and run["memory"] > 95
    with pytest.raises(SystemExit, match="boom"):
        speed.measure([sys.executable, "-c", "raise SystemExit('boom')"], tmp_path)
