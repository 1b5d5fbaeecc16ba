"""These tests make many small stores; they do so in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ram import ram_directory


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where possible."""
    with ram_directory(tmp_path) as path:
        yield path
