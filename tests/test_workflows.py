"""The workflows: valid, with least permissions, and every action pinned by commit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def run(*command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout.decode()


def test_there_are_workflows():
    assert {w.name for w in WORKFLOWS} >= {"test.yml", "publish.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_schema(path):
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_security(path):
    run("zizmor", "--offline", "--no-progress", "--persona", "pedantic", path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_pins_and_permissions(path):
    workflow = yaml.safe_load(path.read_text("utf8"))
    assert workflow["permissions"] == {}, "los permisos se dan trabajo por trabajo"
    for name, job in workflow["jobs"].items():
        assert "permissions" in job and "timeout-minutes" in job, name
        for step in job["steps"]:
            if "uses" in step:
                assert re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
            if command := step.get("run", ""):
                for target in re.findall(r"\bmake (\w+)", command):
                    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf8"), re.M)
