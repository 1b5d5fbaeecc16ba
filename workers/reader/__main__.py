"""`python -m workers.reader`: parse the command line, serve, and end with whoever started it. No logic of answers.

Prints one line on stdout once it listens: `reader ready http://HOST:PORT/v1`.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import uvicorn

from workers.reader.server import Reader

_WINDOW = 32768
_DRAIN_SECONDS = 3


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(f"reader ready http://{host}:{port}/v1", flush=True)  # noqa: T201  # this line is the contract


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, or until stdin closes if told to follow it."""
    chosen = _parser().parse_args(arguments)
    # uvicorn raises the signal again once it has stopped; by default that would end us as if we had crashed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_stopping)
    config = uvicorn.Config(
        Reader(chosen.max_model_len, chosen.delay),
        host=chosen.host,
        port=chosen.port,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    asyncio.run(_serve(_Server(config), chosen.follow_stdin))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.reader", description="Answers by quoting its prompt.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--max-model-len", type=int, default=_WINDOW, help="prompt and answer together, in tokens")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each chunk of a stream")
    parser.add_argument("--follow-stdin", action="store_true", help="end when stdin, which must be a pipe, closes")
    return parser


async def _serve(server: uvicorn.Server, follow_stdin: bool) -> None:
    async with asyncio.TaskGroup() as group:
        following = group.create_task(_end_with_stdin(server)) if follow_stdin else None
        await server.serve()
        if following is not None:
            following.cancel()


async def _end_with_stdin(server: uvicorn.Server) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    server.should_exit = True


def _already_stopping(_number: int, _frame: FrameType | None) -> None:
    """The stop is under way; it is bounded."""


if __name__ == "__main__":
    main()
