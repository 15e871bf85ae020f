"""The environment in which the notebooks are re-run: the one that built them."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "web"), str(ROOT / "bench")]

from execution import kernel_environment  # noqa: E402

LONGEST = ("test_paper", "test_browser", "16-ecuaciones", "test_faults", "test_cache")
ipython_folder = tempfile.TemporaryDirectory()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One more than there are cores: a worker that waits for a browser or a kernel uses none."""
    return 1 + (yield)


def pytest_collection_modifyitems(items):
    """The longest files first, so that no core waits for one at the end."""
    items.sort(key=lambda item: next((k for k, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


def pytest_configure(config):
    """nbval starts its kernels with this process's environment: make it the build's."""
    os.environ.update(kernel_environment(ipython_folder.name))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # «make test &» ignores what tests send
