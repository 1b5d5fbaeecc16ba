"""One gateway per test file, because starting it costs more than most tests; every test brings its own users."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The desk of this file."""
    async with open_desk(tmp_path_factory.mktemp("data")) as opened:
        yield opened
