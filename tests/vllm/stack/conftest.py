"""One worker and one gateway for all tests of this folder, as operators start them; skipped where vLLM is not."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

if find_spec("vllm") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.vllm.stack.running import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Stack]":
    """The whole stack; it takes half a minute to start."""
    with running_stack(tmp_path_factory.mktemp("shared-stack")) as running:
        yield running
