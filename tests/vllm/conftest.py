"""Real vLLM, its CPU build, in an environment of its own. Without it nothing here is collected: `make test-vllm`
runs it."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.vllm.quiet import ENVIRONMENT

if find_spec("vllm") is None:
    collect_ignore_glob = ["test_*.py", "*/test_*.py"]
else:
    os.environ.update(ENVIRONMENT, OMP_NUM_THREADS="1")  # threads that spin while they wait starve all others

    def pytest_configure(config: pytest.Config) -> None:
        """Warnings of vLLM and torch about themselves are shown, and are not ours to turn into errors."""
        for kind in ("DeprecationWarning", "FutureWarning", "UserWarning", "pytest.PytestUnraisableExceptionWarning"):
            config.addinivalue_line("filterwarnings", f"default::{kind}")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small random Llama."""
    from tests.vllm.tiny import build

    return build(tmp_path_factory.mktemp("shared-tiny-llama"))
