"""The embedded reader as a child process: started with us, gone with us, even by kill -9. Never imports it.

The two packages meet only on the wire; what is known here is a command line and the line that it prints when ready.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import UpstreamUnreachable

_COMMAND = ("-m", "workers.reader", "--host", "127.0.0.1", "--port", "0", "--follow-stdin")
_READY = "reader ready "
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


@asynccontextmanager
async def embedded_reader() -> AsyncIterator[str]:
    """Its base URL, such as http://127.0.0.1:41234/v1, while the context is open."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *_COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the gateway, which drains before it lets its worker go
    )
    try:
        yield await _base_url(child)
    finally:
        await _stop(child)


async def _base_url(child: asyncio.subprocess.Process) -> str:
    if child.stdout is None:
        raise UpstreamUnreachable("The embedded reader has no output.")
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = (await child.stdout.readline()).decode().strip()
    except TimeoutError:
        raise UpstreamUnreachable(f"The embedded reader did not start in {_START_SECONDS:g} s.") from None
    if not line.startswith(_READY):
        raise UpstreamUnreachable("The embedded reader failed to start; its error is printed above.")
    return line.removeprefix(_READY)


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
