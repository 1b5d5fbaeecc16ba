"""Nobody to ask: policies that need a model leave turns as they were said, those that do not go by their rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import NoModel
from gateway.memory.thinking import Told

_ADVICE = "No model is configured to think with: set MNEME_REFLECT_MODEL."


class Nobody:
    """See thinking.Asker."""

    async def ask(self, system: str, prompt: str, schema: Mapping[str, Any], images: Sequence[str] = ()) -> Told:
        raise NoModel(_ADVICE)

    async def ping(self) -> None:
        """There is nothing to be away."""
