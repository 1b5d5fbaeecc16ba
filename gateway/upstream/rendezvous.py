"""Which of several alike replicas a conversation goes to. Pure: names, numbers, a drawn lot. Knows no worker.

Rendezvous hashing (highest random weight: Thaler and Ravishankar, 1998). Every gateway ranks the replicas for a
conversation alike without a word to the others, and there is no ring to keep: where one of n comes or goes, about one
conversation in n moves, and only to or from that one. The ranking itself says who is next where the first is crowded or
down, so that the second choice is as steady as the first.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

# Of the mean number of requests in flight, what a replica may have before the next in rank is asked (bounded loads:
# Mirrokni, Thorup and Zadimoghaddam, 2016).
_CROWDED = 1.25
# Under so many at once no replica is crowded: an engine computes them in one batch, and a prefix computed anew costs
# more than a place in it.
_ROOMY = 4


def ranked(key: bytes, names: Sequence[str]) -> list[int]:
    """Indexes of the names, first the one that the key belongs to."""
    return sorted(range(len(names)), key=lambda i: _weight(key, names[i]), reverse=True)


def _weight(key: bytes, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=key, digest_size=8).digest()


def steady(key: bytes, names: Sequence[str], loads: Sequence[int]) -> int:
    """The first in rank that is not crowded; `loads` are requests in flight. `key` has at most 64 bytes."""
    room = max(_ROOMY, math.ceil(_CROWDED * (sum(loads) + 1) / len(loads)))
    return next(i for i in ranked(key, names) if loads[i] < room)


def lighter(loads: Sequence[int], draw: Callable[[], float]) -> int:
    """The less loaded of two that are drawn (power of two choices: Mitzenmacher, 1996); `draw` gives [0, 1).

    For requests that belong to no conversation. The hash of a prefix would send all that share a template to the same
    replica, which bounded loads would then have to undo; they share little that is worth a crowd.
    """
    first = int(draw() * len(loads))
    second = int(draw() * (len(loads) - 1)) if len(loads) > 1 else 0
    other = second + 1 if second >= first and len(loads) > 1 else second
    return first if loads[first] <= loads[other] else other
