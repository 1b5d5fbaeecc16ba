"""The range of vLLM that is supported."""

import pytest

from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.versions import check


@pytest.mark.parametrize("version", ["0.32.0", "0.32.0+cpu", "0.33.1", "0.33.0rc1", "0.33.2.dev7+gabc"])
def test_supported_versions_pass(version: str) -> None:
    """Builds and patches of the range."""
    check(version)


@pytest.mark.parametrize("version", ["0.31.9", "0.34.0", "1.0.0", "0.9.2", "dev", "0.34.0.dev1"])
def test_other_versions_are_refused(version: str) -> None:
    """With the version that was found and the range that works."""
    with pytest.raises(PolicyRefused, match=r"0\.32 and newer, below 0\.34") as refused:
        check(version)

    assert version in str(refused.value)
