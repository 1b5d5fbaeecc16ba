"""Which index is whose, by its name and stamp: the same in a directory and on a server. Knows neither."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Standing

_LONGEST = 40
_DIGEST = 4
_WAY = "(docs/data.md, “Another embedder”)"


def suffixed(plain: str, embedder: str) -> str:
    """The name of an embedder's own index beside the plain one."""
    readable = re.sub(r"[^a-z0-9]+", "-", embedder.lower()).strip("-")[:_LONGEST]
    return f"{plain}-{readable}-{hashlib.blake2b(embedder.encode(), digest_size=_DIGEST).hexdigest()}"


def may_be_ours(plain: str, name: str) -> bool:
    """Whether it is worth looking at the stamp of an index of that name."""
    return name == plain or re.fullmatch(rf"{re.escape(plain)}-.*[0-9a-f]{{{2 * _DIGEST}}}", name) is not None


def is_ours(plain: str, name: str, embedder: str) -> bool:
    """Whether an index of that name and stamp is one of the installation whose first one has the plain name. Another
    installation may lie beside it under a name that only begins like this one's."""
    return name in (plain, suffixed(plain, embedder))


def read_from(plain: str, found: Sequence[Standing], embedder: str) -> str:
    """The name of the index that the embedder reads. One is made only where there is none of any embedder.
    DataDirectoryRefused where others have one, or where this one does not hold everything."""
    own = _own(plain, found, embedder)
    if own is None:
        if any(standing.name == plain for standing in found) or not found:
            return plain  # whoever opens it looks at its stamp
        raise DataDirectoryRefused(
            f"There is no index of embedder {embedder}, only {', '.join(f'{s.name} of {s.embedder}' for s in found)}: "
            f"configure an embedder that has one; this one as MNEME_NEXT_EMBEDDER, to move to it {_WAY}."
        )
    if own.behind:
        raise DataDirectoryRefused(
            f"The index {own.name} of embedder {embedder} does not hold everything. Start with the embedder that "
            f"memories are read with now, and with this one as MNEME_NEXT_EMBEDDER, until `mneme reembed` says that "
            f"both agree {_WAY}."
        )
    return own.name


def written_beside(plain: str, found: Sequence[Standing], embedder: str) -> str:
    """The name of the index that is filled beside the one that is read; it may not be there yet."""
    own = _own(plain, found, embedder)
    return own.name if own else suffixed(plain, embedder)


def filled_by_another(name: str, found: Mapping[str, object], stamp: Mapping[str, object]) -> str:
    """What whoever starts with another embedder than the stamp that was found names is told."""
    has, wants = (f"{each.get('embedder')} ({each.get('dimension')} dimensions)" for each in (found, stamp))
    return (
        f"{name} was filled by embedder {has}, but {wants} is configured. Configure the former one; and, to move to "
        f"this one while everything runs, this one as MNEME_NEXT_EMBEDDER {_WAY}."
    )


def _own(plain: str, found: Sequence[Standing], embedder: str) -> Standing | None:
    """Its own one before the plain one."""
    own = [standing for standing in found if standing.embedder == embedder]
    return max(own, key=lambda standing: standing.name != plain, default=None)
