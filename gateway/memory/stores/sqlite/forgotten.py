"""Who was forgotten of late: what had begun before that is not kept any more. Knows no database: whoever writes to it
is this process, and what was under way when it died is over."""

import time

from gateway.memory.records import Scope

_KEPT = 86_400.0  # seconds: no answer takes longer


class Forgotten:
    """Moments are of the monotonic clock. Asked from the thread that writes, too."""

    def __init__(self) -> None:
        self._since: dict[Scope, float] = {}

    def stamp(self, scope: Scope) -> None:
        """The user is forgotten from now on."""
        now = time.monotonic()
        self._since = {whose: at for whose, at in self._since.items() if now - at < _KEPT} | {scope: now}

    def outlived(self, scope: Scope, began: float | None) -> bool:
        """Whether the user was forgotten after that moment; not if nobody knows it."""
        since = self._since.get(scope)
        return since is not None and began is not None and began <= since
