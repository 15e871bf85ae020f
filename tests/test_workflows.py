"""What comes from others and what runs elsewhere.

The workflows are valid, with least permissions, every action pinned by commit and no secret; what
is installed is pinned and its licence allows it; and what moves with new versions is told.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from newest import issue
from supply import licence_problems, licences, requirement_problems

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
BIN = Path(sys.executable).parent


def run(*command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout.decode()


def test_there_are_workflows():
    assert {w.name for w in WORKFLOWS} >= {"test.yml", "publish.yml", "newest.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_schema(path):
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


@pytest.mark.parametrize("path", [*WORKFLOWS, DEPENDABOT], ids=lambda p: p.name)
def test_security(path):
    run("zizmor", "--offline", "--no-progress", "--persona", "pedantic", path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_pins_and_permissions(path):
    text = path.read_text("utf8")
    assert not re.search(r"\bsecrets\b", text), "el único permiso es el del flujo: github.token"
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}, "los permisos se dan trabajo por trabajo"
    for name, job in workflow["jobs"].items():
        assert "permissions" in job and "timeout-minutes" in job, name
        for step in job["steps"]:
            if "uses" in step:
                assert re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
            if command := step.get("run", ""):
                for target in re.findall(r"\bmake (\w+)", command):
                    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf8"), re.M)


def test_updates_are_proposed():
    run("check-jsonschema", "--builtin-schema", "vendor.dependabot", DEPENDABOT)
    updates = yaml.safe_load(DEPENDABOT.read_text("utf8"))["updates"]
    assert {u["package-ecosystem"] for u in updates} == {"pip", "github-actions"}


def test_what_is_installed():
    assert requirement_problems() == []
    assert len(list(licences())) > 100
    assert licence_problems() == []


LOG = """\
/home/runner/libro/book/14-pinn.md:212: ERROR: AssertionError: no baja
_________________ 06-optimizadores.ipynb::Cell 4 _________________
Notebook cell execution failed
Cell 4: Cell outputs differ

Input:
print(f"mínimo en x = {x:.2f} m")

Traceback:
 mismatch 'stdout'

 assert reference_output == test_output failed:

  'mínimo en x = -7.35 m\\n' == 'mínimo en x = -7.34 m\\n'

  - mínimo en x = -7.34 m
  ?                   ^
  + mínimo en x = -7.35 m
  ?                   ^

_________________ 09-convolucion/09-convolucion.ipynb::Cell 2 _________________
[gw1] linux -- Python 3.11.7 newest/bin/python
Notebook cell execution failed
Cell 2: Cell execution caused an exception

Input:
assert error < 1e-9

Traceback:

\x1b[31mAssertionError\x1b[39m                            Traceback (most recent call last)
\x1b[32m----> 1\x1b[39m assert error < 1e-9

\x1b[31mAssertionError\x1b[39m: tarde

_________________ 09-convolucion/09-convolucion.ipynb::Cell 3 _________________
Notebook cell execution failed
Cell 3: Cell execution caused an exception

Traceback:

NameError: name 'x' is not defined

=========================== short test summary info ============================
FAILED 06-optimizadores.ipynb::Cell 4 - Notebook cell execution failed
"""


def test_issue_names_chapter_and_number():
    assert issue(LOG).splitlines()[2:] == [
        "### 06-optimizadores", "", "- celda 4: antes `mínimo en x = -7.35 m`, ahora `mínimo en x = -7.34 m`", "",
        "### 09-convolucion", "", "- celda 2: AssertionError: tarde", "",
        "### 14-pinn", "", "- al construir, `book/14-pinn.md:212`: AssertionError: no baja"]


def test_nothing_moved_nothing_to_say():
    assert issue("build succeeded.\n..... [100%]\n50 passed in 20.00s\n") == ""
