"""Temporary directories in memory, where the system has room, and no longer than needed: a disk is slow to sync."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_SHM = Path("/dev/shm")
_ENOUGH = 4 << 30  # the whole suite needs half of it


@pytest.hookimpl(tryfirst=True)  # before pytest's own plugin reads where they go
def pytest_configure(config: pytest.Config) -> None:
    """They are gone at the end. `--basetemp` still says otherwise."""
    if config.option.basetemp or not (os.access(_SHM, os.W_OK) and shutil.disk_usage(_SHM).free > _ENOUGH):
        return
    folder = tempfile.mkdtemp(dir=_SHM, prefix="mneme-tests-")
    config.option.basetemp = f"{folder}/run"
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="module", autouse=True)
def _module_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the fixtures of a module made goes with it: a hundred stores would fill the memory that they lie in. What
    more modules use is called shared-…, and what a test made is pytest's own to keep or remove."""
    base = tmp_path_factory.getbasetemp()
    before = {path.name for path in base.iterdir()}
    yield
    for path in base.iterdir():
        if path.name not in before and not path.is_symlink() and not path.name.startswith(("shared-", "test_")):
            shutil.rmtree(path, ignore_errors=True)
