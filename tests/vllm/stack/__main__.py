"""`python -m tests.vllm.stack`: the table of what each placement of memory costs, from a stack of its own. Judges
nothing."""

import sys
import tempfile
import time
from pathlib import Path

import tests.vllm.conftest  # noqa: F401  # for the environment that vLLM's processes need on a CPU
from tests.vllm.stack.placements import measure
from tests.vllm.stack.running import running_stack
from tests.vllm.stack.table import table
from tests.vllm.stack.talk import TALKS


def main() -> int:
    """Start, measure, print."""
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        began = time.monotonic()
        found = {talk: measure(stack, talk) for talk in TALKS}
        seconds = time.monotonic() - began
    print(table(found))
    print(f"\nmeasured in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
