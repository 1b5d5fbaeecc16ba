"""All temporary directories in memory, where the system has room: engines that sync each file wait long for a disk."""

import os
import shutil
import tempfile
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
