"""A gateway of our own for the length of a demo: `python -m gateway serve` in a process beside this one.

Knows its command line and the first line of its banner; never imports it.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.evals.door import DoorShut

# What must not leak in from the caller's shell; every other MNEME_* knob counts, so that it can be tried out.
_OWN = {"MNEME_HOST": "127.0.0.1", "MNEME_PORT": "0", "MNEME_KEYS": "", "MNEME_ADMIN_KEY": "", "MNEME_UPSTREAM": ""}
_READY = "remembers at "
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


@asynccontextmanager
async def own_gateway(data: Path) -> AsyncIterator[str]:
    """Its base URL, with the embedded reader behind it and its stores in `data`. DoorShut when it does not start."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "serve"),
        env={**os.environ, **_OWN, "MNEME_DATA": str(data)},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the demo, which ends it in order
    )
    try:
        yield await _base_url(child)
    finally:
        await _stop(child)


async def _base_url(child: asyncio.subprocess.Process) -> str:
    if child.stdout is None:
        raise DoorShut("The gateway has no output.")
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for line in child.stdout:
                _, ready, url = line.decode().partition(_READY)
                if ready:
                    return url.strip()
    except TimeoutError:
        raise DoorShut(f"The gateway did not start in {_START_SECONDS:g} s.") from None
    raise DoorShut("The gateway failed to start; its error is printed above.")


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await child.communicate()
    except TimeoutError:
        child.kill()
        await child.communicate()
