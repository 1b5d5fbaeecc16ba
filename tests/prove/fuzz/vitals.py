"""Whether a gateway that was fuzzed is well: ready, remembering, nothing left in its journal, no larger than it was."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.prove.fuzz.subject import Subject
from tests.support.raw import CHAT, Response
from tests.support.upstream import JSON

_PATIENCE = 120.0
_FILES_MORE = 40
_MORE, _MORE_PER_CASE = 96 << 20, 8 << 10
"""Bytes that it may be larger than it was at first: caches fill up, and what it was told is remembered."""


@dataclass(frozen=True)
class Size:
    """Open files, and bytes in memory, of a process."""

    files: int
    resident: int

    @classmethod
    def of(cls, pid: int) -> "Size":
        """As they are now."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return cls(len(list(Path(f"/proc/{pid}/fd").iterdir())), resident << 10)

    def outgrown(self, first: "Size", cases: int) -> Iterator[str]:
        """How it has become too large, `cases` after it was of the `first` size."""
        if self.files > first.files + _FILES_MORE:
            yield f"{self.files} open files, {first.files} at first"
        if self.resident > first.resident + _MORE + _MORE_PER_CASE * cases:
            yield f"{self.resident >> 20} MiB in memory, {first.resident >> 20} at first, {cases} cases before"


async def ailments(subject: Subject, number: int) -> list[str]:
    """What is wrong with it, after round `number`; empty if it is well."""
    subject.heal()
    found = [f"log: {line}" for line in subject.complaints()]
    ready = await subject.tell(b"GET", b"/health/ready")
    if ready.status != 200 or ready.json()["status"] != "ok":
        found.append(f"not ready: {ready.body!r}")
    found += await _forgetful(subject, number)
    return found + await _behind(subject)


async def _forgetful(subject: Subject, number: int) -> list[str]:
    """A turn that is told must be in the next prompt of its user."""
    place = f"harbour {number * 7 + 3}"
    told = await _say(subject, f"told-{number}", f"The lantern Steady-{number} hangs in {place} all winter.")
    asked = await _say(subject, f"asked-{number}", f"Where does the lantern Steady-{number} hang in winter?")
    if (told.status, asked.status) != (200, 200):
        return [f"a plain turn was answered {told.status} and {asked.status}: {asked.body!r}"]
    if place not in subject.worker.received[-1].body.decode():
        return [f"a plain turn is not remembered; skipped: {told.skipped}, {asked.skipped}"]
    return []


async def _say(subject: Subject, session: str, text: str) -> Response:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
    who = ((b"x-mneme-user", b"steady"), (b"x-mneme-session", session.encode()))
    return await subject.tell(b"POST", CHAT, body, (subject.steady, *who, *JSON))


async def _behind(subject: Subject) -> list[str]:
    """What the journal still holds when there was time enough."""
    admin = () if subject.admin is None else ((b"authorization", subject.admin.encode()),)
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    while True:
        lag = json.loads((await subject.tell(b"GET", b"/admin/journal", headers=admin)).body)
        if lag["dead"]:
            return [f"dead letters: {lag}"]
        if not lag["pending"]:
            return []
        if loop.time() > until:
            return [f"the journal is behind: {lag}"]
        await asyncio.sleep(0.05)
