"""A part with a stopwatch: passes every call on and adds up how long those that are awaited take. Never changes one."""

import time
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any


class Clocked:
    """Stands for `part`. `millis` maps a call's name to its milliseconds so far."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.millis: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return self._timed(name, found) if iscoroutinefunction(found) else found

    def _timed(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def timed(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return await call(*args, **named)
            finally:
                self.millis[name] = self.millis.get(name, 0.0) + (time.perf_counter() - began) * 1000

        return timed
