"""Programs that the tests ask: a Python package brings them, or the system. Knows nothing of what they are asked."""

import os
import shutil
import sys
from pathlib import Path

import pytest

# Beside this Python before the system's: the package's version is the pinned one. Debian's daemons lie in sbin.
_PLACES = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])


def found(program: str) -> str | None:
    """Its path."""
    return shutil.which(program, path=_PLACES)


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skips where it is not installed, and says what would bring it."""
    return pytest.mark.skipif(found(program) is None, reason=f"{program} is not installed: {package} has it")
