"""What users do: tell, ask, go on, and try to be somebody else. Every request has a number in its text, under which the
worker learns who sent it."""

import random
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.prove.isolation.caller import ADMIN_KEY, Caller
from tests.prove.isolation.hearer import Hearer, Sent
from tests.prove.isolation.people import Person, canaries
from tests.support.raw import Headers, Response

_MODEL = "scripted"
_FEW = 4
_SHOWN = 200
THINKING = ("hema", "exprag")
"""Policies that make memories of turns without a model: a summary that stands in every prompt, experiences."""


@dataclass(frozen=True)
class Speech:
    """Of all users; `hearer` is the worker that they reach."""

    hearer: Hearer
    numbers: "count[int]"

    async def tell(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """A fact, in a conversation of its own."""
        await self._say(call, dice, person, _fact(person))

    async def ask(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """What somebody told; everybody's facts answer it equally well."""
        await self._say(call, dice, person, _question())

    async def go_on(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """With the history resent, as clients without sessions do."""
        said = _fact(person) if dice.random() < 0.5 else _question()
        asked, answer = await self._say(call, dice, person, said, history=person.history)
        if answer.status == 200 and not _streamed(answer):
            person.remember(asked, {"role": "assistant", "content": answer.json()["choices"][0]["message"]["content"]})

    async def in_session(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """Named, and its name tells whose it is."""
        if len(person.sessions) < _FEW:
            person.sessions.append(f"of {person.canary()}")
        session = dice.choice(person.sessions)
        person.said.update(canaries(session.encode()))  # who was forgotten names it anew
        await self._say(call, dice, person, _fact(person), session=session)

    async def in_their_session(self, call: Caller, dice: random.Random, person: Person, other: Person) -> None:
        """Somebody else's, by its name: it is a session of one's own that has the same name."""
        session = dice.choice(other.sessions) if other.sessions else "none"
        person.said.update(canaries(session.encode()))
        await self._say(call, dice, person, _question(), session=session)

    async def their_history(self, call: Caller, dice: random.Random, person: Person, other: Person) -> None:
        """Word for word what somebody else's client resends."""
        await self._say(call, dice, person, _question(), history=other.history)

    async def about_theirs(self, call: Caller, dice: random.Random, person: Person, other: Person) -> None:
        """By the one word of somebody else's fact that leads to the other one."""
        label = next(iter(sorted(other.said)), b"canary-0-0-0z").decode()
        person.said.add(label.encode())
        await self._say(call, dice, person, f"On which shelf of the hall stands parcel {label}?")

    async def thoughtfully(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """To a policy that makes other memories of what was said; some look back."""
        memory: dict[str, Any] = {"policy": dice.choice(THINKING)}
        if dice.random() < 0.2:
            memory["as_of"] = time.time()
        await self._say(call, dice, person, dice.choice((_fact(person), _question())), memory=memory)

    async def watch(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """Everybody waits for the same, so that anybody's word would do; then they have it said themselves."""
        waits = f"I wait for parcel {person.canary()}."
        await self._say(call, dice, person, waits, memory={"watch": "Tell me when the truck stands before the hall."})
        await self._say(call, dice, person, f"The truck stands before the hall with parcel {person.canary()}.")

    async def feedback(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """About an answer of their own, which may have been forgotten since."""
        if person.traces:
            answer = await call.feedback("feedback", person, _remark(dice, person, "trace", "text", person))
            call.witness.expect("feedback", answer.status, 200, 404)

    async def their_feedback(self, call: Caller, dice: random.Random, person: Person, other: Person) -> None:
        """About somebody else's answer, by its id: it is unknown, and what was said of it is not heard."""
        if not other.traces:
            return
        if dice.random() < 0.5:
            remark = _remark(dice, person, "mneme_feedback_for", "mneme_feedback_text", other)
            remark["mneme_feedback"] = remark.pop("outcome")
            await self._say(call, dice, person, _question(), metadata=remark)
        else:
            answer = await call.feedback("their feedback", person, _remark(dice, person, "trace", "text", other))
            call.witness.expect("their feedback", answer.status, 404)

    async def as_nobody(self, call: Caller, dice: random.Random, person: Person, other: Person) -> None:
        """Without a name on a key that needs one."""
        number = next(self.numbers)
        self.hearer.note(number, Sent(None, None, frozenset()))
        headers = ((b"x-mneme-session", other.sessions[0].encode()),) if other.sessions else ()
        await self._send(call, dice, person, None, _message(_question(), number), [], headers, {})

    async def with_no_key(self, call: Caller, dice: random.Random, person: Person, _other: Person) -> None:
        """One that nobody issued, or that opens something else."""
        key = dice.choice((person.key[:-1], f"{person.key}x", person.tenant, ADMIN_KEY, "mneme-local", "*"))
        body = {"model": _MODEL, "messages": [_message(_question(), 0)], "user": person.name}
        answer = await call.chat(body, (), (), "a stranger", key)
        call.witness.expect("no key", answer.status, 401)

    async def _say(
        self,
        call: Caller,
        dice: random.Random,
        person: Person,
        text: str,
        history: list[dict[str, str]] | None = None,
        session: str | None = None,
        memory: dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> tuple[dict[str, str], Response]:
        number, past = next(self.numbers), history or []
        asked = _message(text, number)
        named, fields = _name(dice, person, session)
        if memory:
            fields["memory"] = memory
        if metadata:
            fields["metadata"] = {**fields.get("metadata", {}), **metadata}
        sent = {canary for message in (*past, asked) for canary in canaries(message["content"].encode())}
        self.hearer.note(number, Sent(person, session, frozenset(sent)))
        answer = await self._send(call, dice, person, person, asked, past, named, fields)
        if trace := answer.header(b"x-mneme-trace"):
            person.traces = [*person.traces[1 - _FEW :], trace.decode()]
        return asked, answer

    async def _send(
        self,
        call: Caller,
        dice: random.Random,
        person: Person,
        asking: Person | None,
        asked: dict[str, str],
        past: list[dict[str, str]],
        headers: Headers,
        fields: dict[str, Any],
    ) -> Response:
        body = {"model": _MODEL, "messages": [*past, asked], "stream": dice.random() < 0.4, **fields}
        sent = frozenset(canary for message in past for canary in canaries(message["content"].encode()))
        allowed = asking.said | sent if asking else sent
        answer = await call.chat(body, headers, allowed, asking.shown if asking else "nobody", person.key)
        if answer.status != 200:
            call.witness.expect(f"chat, {answer.body[:_SHOWN].decode(errors='replace')}", answer.status, 200)
        return answer


def _fact(person: Person) -> str:
    return f"Parcel {person.canary()} stands on shelf {person.canary()} of the hall."


def _question() -> str:
    return "On which shelf of the hall does my parcel stand?"


def _remark(dice: random.Random, person: Person, of: str, text: str, whose: Person) -> dict[str, str]:
    """What the person says, of one of the answers that `whose` had."""
    said = f"Parcel {person.canary()} was not there."
    return {of: dice.choice(whose.traces), text: said, "outcome": dice.choice(("success", "failure"))}


def _message(text: str, number: int) -> dict[str, str]:
    return {"role": "user", "content": f"{text} (op-{number}-)"}


def _name(dice: random.Random, person: Person, session: str | None) -> tuple[Headers, dict[str, Any]]:
    """Who they are, said in one of the ways there are, with somebody else in the ways that count for less."""
    name, extra = person.name, {"session_id": session} if session else {}
    headers = ((b"x-mneme-tenant", b"acme"), (b"x-forwarded-user", b"ada"))
    ways: list[tuple[Headers, dict[str, Any]]] = [
        (
            headers,
            {"user": name, "safety_identifier": "ada", "metadata": {"user_id": "ada2", "tenant": "acme", **extra}},
        ),
        (headers, {"safety_identifier": name, "metadata": {"user_id": "ada", **extra}}),
        (headers, {"metadata": {"user_id": name, **extra}}),
    ]
    if name.isprintable() and name.strip() == name:
        given = ((b"x-mneme-user", name.encode()), *(((b"x-mneme-session", session.encode()),) if session else ()))
        ways.append(((*given, *headers), {"user": "ada", "metadata": {"user_id": "ad"}, "tenant": "acme"}))
    return dice.choice(ways)


def _streamed(answer: Response) -> bool:
    return (answer.header(b"content-type") or b"").startswith(b"text/event-stream")
