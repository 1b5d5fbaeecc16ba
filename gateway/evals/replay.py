"""Tells the gateway a conversation as an ordinary SDK loop would: turn by turn, the session's history sent again.

Must never help memory along: no more goes over the wire than a chat application sends.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from openai.types.chat import ChatCompletionMessageParam

from gateway.evals.door import Door
from gateway.evals.locomo import Dialogue, Session


async def replay(door: Door, dialogue: Dialogue, user: str, step: Callable[[], object]) -> Mapping[str, int]:
    """Every session in order; `step` is called after each turn. Returns how often each reason for skipping came."""
    skipped: Counter[str] = Counter()
    for session in dialogue.sessions:
        await _session(door, session, user, step, skipped)
    return dict(skipped)


async def _session(door: Door, session: Session, user: str, step: Callable[[], object], skipped: Counter[str]) -> None:
    messages: list[ChatCompletionMessageParam] = []
    for turn in session.turns:
        messages.append({"role": "user", "content": turn.text})
        reply = await door.say(messages, user=user, session=session.name, at=session.at, mode="on")
        messages.append({"role": "assistant", "content": reply.text})
        skipped.update(reply.skipped)
        step()
