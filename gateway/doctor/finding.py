"""A finding, and checks that look beside each other, each in its own time. Knows nothing that is looked at."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gateway.errors import MnemeError

State = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, what was found there, and what to do ("" for nothing). Holds no secret."""

    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """`look` finds; when it takes longer than so many seconds, or raises, the check's name stands for what failed."""

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]
    seconds: float = 8.0


def shown(url: str) -> str:
    """An address without user and password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


async def examined(checks: Sequence[Check]) -> list[Finding]:
    """What all of them find, in their order."""
    found = await asyncio.gather(*(_bounded(check) for check in checks))
    return [finding for each in found for finding in each]


async def _bounded(check: Check) -> Sequence[Finding]:
    late = Finding(check.name, "fail", f"no answer within {check.seconds:g} s", "See whether it is up, and reachable.")
    try:
        async with asyncio.timeout(check.seconds):
            return await check.look()
    except TimeoutError:
        return [late]
    except MnemeError as refused:
        return [Finding(check.name, "fail", refused.message)]
    except Exception as broke:  # noqa: BLE001  # it costs no other check; what it says may hold a secret
        return [Finding(check.name, "fail", f"the check itself broke ({type(broke).__name__})", "Please report it.")]
