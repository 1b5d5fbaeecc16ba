"""Sessions as activation memory (MemOS, arXiv 2507.03724): what of a session's KV is worth a file, and how much of
a file a later prompt may take up. Numbers and names only: no file is opened, no tensor held, no engine known."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workers.kv.stream import Retained, blocks, within

Needs = Callable[[int], Retained]
"""The blocks that a query in a given block reads."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a session's file holds. `facts`: what its bytes depend on. `hashes`: one for each block of the context, each
    of which stands for all that came before too. `groups`: for each of the engine's block tables, the blocks in the
    file. `digest`: of all its content. `size`: in bytes."""

    facts: Mapping[str, str]
    hashes: tuple[bytes, ...]
    groups: tuple[Retained, ...]
    digest: str
    size: int


def session_key(salt: str | None, session: str) -> str:
    """The name of a session's file: 64 hexadecimal digits. Different for every pair of tenant's salt and session
    id, and not to be guessed without the salt. The first half is the `owner_key` of what stands before a slash."""
    return owner_key(salt, session.partition("/")[0]) + _digits(salt, session)


def owner_key(salt: str | None, owner: str) -> str:
    """What the files of all sessions `owner` and `owner/…` begin with: 32 hexadecimal digits."""
    return _digits(salt, owner)


def _digits(salt: str | None, name: str) -> str:
    tenant = (salt or "").encode()
    return hashlib.sha256(len(tenant).to_bytes(8, "big") + tenant + name.encode()).hexdigest()[:32]


def differing(facts: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The facts in which two engines differ, a missing one included."""
    return sorted(name for name in {*facts, *others} if facts.get(name) != others.get(name))


def shared(hashes: Sequence[bytes], others: Sequence[bytes]) -> int:
    """How many blocks two contexts have in common from the start."""
    number = min(len(hashes), len(others))
    return next((at for at in range(number) if hashes[at] != others[at]), number)


def restorable(groups: Sequence[Retained], needs: Sequence[Needs], cached: int, limit: int) -> int:
    """The longest beginning, in blocks, of at most `limit`, that an engine can take up when its own pool holds the
    first `cached` blocks, or what is read of them: all else that the next query reads, in every group, is in the
    file. `cached` if the file adds nothing."""
    for length in range(limit, cached, -1):
        if all(
            _covers(group, within(needed(length), cached, length)) for group, needed in zip(groups, needs, strict=True)
        ):
            return length
    return cached


def once_more(held: Iterable[int], needed: Retained, until: int) -> list[int]:
    """The blocks before `until` that a query there reads and that are no longer held: with them a session can be
    taken up at its prompt's end too, should the client send the answer back in other words or tokens."""
    have = set(held)
    return [block for block in blocks(within(needed, 0, until)) if block not in have]


def surplus(files: Iterable[tuple[float, int, str]], most: int) -> list[str]:
    """Which of the (last written, bytes, name) must leave so that at most `most` bytes remain: the oldest."""
    ordered = sorted(files)
    over = sum(size for _, size, _ in ordered) - most
    leaving: list[str] = []
    for _, size, name in ordered:
        if over <= 0:
            break
        leaving.append(name)
        over -= size
    return leaving


def _covers(held: Retained, needed: Retained) -> bool:
    return all(any(part.start <= want.start and want.stop <= part.stop for part in held) for want in needed)
