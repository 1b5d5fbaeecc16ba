"""What a machine gives: open files, and the kernels that the embedder is made for."""

from pathlib import Path

import pytest

from gateway.doctor import machine
from tests.support.findings import told


@pytest.mark.parametrize(
    ("files", "local", "state"),
    [(1024, True, "ok"), (1024, False, "warn"), (256, True, "warn"), (65536, False, "ok"), (-1, False, "ok")],
)
def test_a_server_needs_more_files_than_a_laptop(files: int, local: bool, state: str) -> None:
    """No limit at all is enough."""
    assert told(machine.look(local=local, embeds=False, files=files), "open files").startswith(state)


@pytest.mark.parametrize(
    ("flags", "embeds", "state"),
    [
        ("flags : sse4_2 avx", True, "warn"),
        ("flags : sse4_2 avx", False, "ok"),
        ("flags : sse4_2 avx avx2", True, "ok"),
        ("Features : asimd", True, "ok"),
    ],
)
def test_an_old_processor_matters_to_the_embedder_only(tmp_path: Path, flags: str, embeds: bool, state: str) -> None:
    """And one of another kind is not judged by names that it does not have."""
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")

    assert told(machine.look(local=True, embeds=embeds, cpu=tmp_path / "cpuinfo"), "cores").startswith(state)


def test_this_machine_is_described(tmp_path: Path) -> None:
    """Also where the system does not describe its processors."""
    for cpu in (Path("/proc/cpuinfo"), tmp_path / "nowhere"):
        assert "cores" in told(machine.look(local=True, embeds=True, cpu=cpu), "cores")
