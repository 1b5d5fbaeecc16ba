"""How the launcher learns why a process did not start."""

import subprocess
import sys

from workers.vllm_plugin.reasons import first, noted

PROCESS = """
import logging
from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.reasons import install
install()
install()
logger = logging.getLogger("vllm.some.module")
try:
    {what}
except Exception:  # whatever it is
    logger.exception("{said}")
"""


def run(what: str, said: str = "EngineCore failed to start.") -> None:
    """A process of vLLM's that ends with `what`."""
    subprocess.run(
        [sys.executable, "-c", PROCESS.format(what=what, said=said)], check=True, timeout=60, stderr=subprocess.DEVNULL
    )


def test_the_first_reason_is_the_cause() -> None:
    """What fails because of it fails later."""
    with noted() as notes:
        run("raise PolicyRefused('A reason\\nin two lines.')", "WorkerProc failed to start.")
        run("raise RuntimeError('A worker failed.')")

        assert first(notes) == "A reason in two lines."
        assert len(notes.read_text().splitlines()) == 2


def test_a_reason_of_vllms_own_comes_with_its_kind() -> None:
    """A message such as a missing key's means little without it."""
    with noted() as notes:
        run("raise KeyError('heads')")

        assert first(notes) == "KeyError: 'heads'"


def test_other_errors_are_no_reason() -> None:
    """Only what ends a process that starts."""
    with noted() as notes:
        run("raise ValueError('of a request')", "Something went wrong.")

        assert first(notes) is None


def test_nothing_stays_behind() -> None:
    """The file is gone, and processes that start later note nothing."""
    with noted() as notes:
        assert notes.exists()

    run("raise ValueError('later')")

    assert not notes.exists()


def test_notes_are_private() -> None:
    """Nobody else may read why."""
    with noted() as notes:
        assert notes.stat().st_mode & 0o077 == 0
