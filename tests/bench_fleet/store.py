"""The stand-in store for long runs: `python -m tests.bench_fleet.store PORT DIRECTORY`. Forgets at once what it was
asked, which a test wants to look at and a run of half an hour has no room for.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.support.qdrant_server import Node, serving


class Forgetful(list[tuple[str, Any]]):
    """Takes everything and holds nothing."""

    def append(self, _: tuple[str, Any]) -> None:
        """Gone."""


async def _main(port: int, path: Path) -> None:
    node = Node(path)
    node.asked = Forgetful()
    async with serving(node, port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
