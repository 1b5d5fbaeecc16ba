"""Searches what came back for words of others, and counts what it has seen. Knows no gateway and asks for nothing."""

import binascii
import re
from base64 import b64encode, urlsafe_b64decode
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

from tests.prove.isolation.people import WALRUS, canaries

# "canary-" in base64, wherever in three bytes it begins: a cursor may hold a name.
_FOLDED = tuple(b64encode(b"\0" * at + b"canary-")[skip : skip + 8] for at, skip in enumerate((0, 2, 3)))
_TOKEN = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")


@dataclass
class Witness:
    """`reads` are the pieces that were searched, by where they came from; `own` the canaries in them that were theirs
    to see; `found` says what was seen that must not be; `wrong` counts answers with another status than they should
    have, and `away` those that said to ask again; `marks` are values that must differ from owner to owner: by kind and
    value, whose they were."""

    reads: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    away: int = 0
    marks: dict[tuple[str, str], set[Hashable]] = field(default_factory=lambda: defaultdict(set))

    def look(self, where: str, data: bytes, allowed: Collection[bytes] = (), who: str = "") -> None:
        """Search these bytes, of which `who` may see canaries that are `allowed`."""
        self.reads[where] += 1
        for canary in (*canaries(data), *_unfolded(data)):
            if canary in allowed:
                self.own[where] += 1
            else:
                self.found.append(f"{where}: {canary.decode()} {f'before {who}' if who else ''}".rstrip())

    def look_blindly(self, where: str, data: bytes) -> None:
        """Search what nobody's words and no user's name may stand in."""
        self.look(where, data)
        if WALRUS in data:
            self.found.append(f"{where}: a user's name")

    def mark(self, kind: str, value: str, owner: Hashable) -> None:
        """A value that only this owner may have."""
        self.look(kind, value.encode())
        self.marks[kind, value].add(owner)

    def expect(self, deed: str, status: int, *good: int) -> bool:
        """Whether the status is one of these."""
        if status in good:
            return True
        self.wrong[f"{deed}: {status}"] += 1
        return False

    @property
    def shared(self) -> list[str]:
        """Kinds and values that several owners had."""
        return [f"{kind}: shared by {len(owners)}" for (kind, _), owners in self.marks.items() if len(owners) > 1]

    @property
    def leaks(self) -> int:
        """How often somebody saw what is not theirs."""
        return len(self.found) + len(self.shared)


def _unfolded(data: bytes) -> list[bytes]:
    if not any(piece in data for piece in _FOLDED):
        return []
    hidden: list[bytes] = []
    for token in _TOKEN.findall(data):
        if any(piece in token for piece in _FOLDED):
            try:
                plain = urlsafe_b64decode(token.translate(bytes.maketrans(b"+/", b"-_")).rstrip(b"=") + b"==")
            except binascii.Error:
                continue
            hidden += canaries(plain)
    return hidden
