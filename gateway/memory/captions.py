"""What pictures and videos showed, as memories that words can find: one caption for each, whatever the policy of its
turn. Over a budget those that are most alike become one, in fewer words each time. Never sees a byte of a picture.

A model that sees is asked where one is configured and the picture lies at a URL; bytes that were sent along are gone by
now, and a video is not looked at. Else a caption is what the user said with it. Tiers are those of VideoChat-Online's
pyramid memory for text: on overflow the most similar neighbours leave for the next one.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.errors import NoModel, Unusable
from gateway.memory.compose import SEEN
from gateway.memory.policies.asking import material
from gateway.memory.records import Memory, Turn, Vector
from gateway.memory.reflections import Draft, Insert, Merge, Operation
from gateway.memory.revise import thought_id
from gateway.memory.study import UserStudy
from gateway.memory.thoughts import Media

_PROMPT = """Say in one to three sentences what this picture shows: who and what, how many, where, colours, and words
that can be read. `caption` is for somebody who cannot see it and will be asked about it later."""
_CALLED = {"image": "An image", "video": "A video"}
_TIER = "tier "
_CAPTION, _SAID, _PLACE, _LOOKS = 600, 300, 160, 4  # characters; and pictures of a turn that are looked at
_FETCHED = ("http://", "https://")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model is asked for."""

    caption: str


@dataclass(frozen=True, slots=True)
class Album:
    """How many captions a user has before the most alike become one: those beside each other in time that have a cosine
    of `alike` at the least (HippoMM's 0.9), at most `merges` pairs at once. A text of tier n has at most `summary`
    characters, halved with every tier."""

    most: int = 200
    alike: float = 0.9
    merges: int = 16
    summary: int = 400


ALBUM = Album()


async def captioned(turns: Sequence[Turn], study: UserStudy, album: Album = ALBUM) -> list[Operation]:
    """Captions of what these turns showed, and what becomes of those that there are too many of. What has a caption, be
    it a former one, is not looked at again."""
    drafts = [(_draft(turn, media), turn, media) for turn in turns for media in turn.media]
    ids = {thought_id(study.scope, study.policy, draft): draft for draft, _, _ in drafts}
    there = {memory.id for memory in await study.get([*ids])} if ids else set()
    known = {ids[id].key for id in there}
    looks: Counter[str] = Counter()
    made: list[Operation] = []
    for draft, turn, media in drafts:
        if draft.key not in known:
            looks[turn.id] += 1
            seen = await _look(turn, media, study) if looks[turn.id] <= _LOOKS else ""
            made.append(Insert(replace(draft, text=seen or draft.text, tags=(SEEN,) if seen else ())))
    if not made:
        return []
    own = await study.own("caption")
    left = len(own) + len(made) - album.most
    if left <= 0:
        return made
    vectors = await study.vectors([memory.text for memory in own])
    pairs = neighbours([*zip(own, vectors, strict=True)], min(left, album.merges), album.alike)
    return [*made, *(Merge((one.id, two.id), merged(one, two, album)) for one, two in pairs)]


def neighbours(line: Sequence[tuple[Memory, Vector]], count: int, alike: float) -> list[tuple[Memory, Memory]]:
    """Of a line in time the `count` pairs of neighbours that are most alike, none less than `alike`, and each memory in
    one pair at the most; in the order of their time."""
    likeness = [sum(a * b for a, b in zip(line[i][1], line[i + 1][1], strict=True)) for i in range(len(line) - 1)]
    taken: set[int] = set()
    for i in sorted(range(len(likeness)), key=lambda i: (-likeness[i], i)):
        if likeness[i] >= alike and len(taken) < count and not taken & {i - 1, i, i + 1}:
            taken.add(i)
    return [(line[i][0], line[i + 1][0]) for i in sorted(taken)]


def merged(one: Memory, two: Memory, album: Album) -> Draft:
    """Two captions as one of the next tier: the beginning of each, in the order of their time."""
    tier = 1 + max(_tier(one), _tier(two))
    room = max(album.summary >> (tier - 1), 80) // 2
    texts = dict.fromkeys(_short(memory.text, room) for memory in (one, two))
    when = [memory.thought.occurred for memory in (one, two) if memory.thought and memory.thought.occurred]
    span = (min(start for start, _ in when), max(end for _, end in when)) if when else None
    # Named after both, so that nobody takes it for another that says the same.
    key = f"{one.id} {two.id}"
    return Draft("caption", " / ".join(texts), (), key, occurred=span, tags=(SEEN, f"{_TIER}{tier}"))


def _draft(turn: Turn, media: Media) -> Draft:
    """What can be told without having seen it."""
    said = turn.user_text[:_SAID].strip()
    what = _CALLED[media.kind]
    text = f"{what} shown with: {said}" if said else f"{what} shown without a word."
    return Draft(
        kind="caption",
        text=text,
        sources=(turn.id,),
        key=f"{turn.id} {media.part} {media.reference}",
        title=media.reference[:_PLACE],
        occurred=(turn.at, turn.at + 1),
    )


async def _look(turn: Turn, media: Media, study: UserStudy) -> str:
    """Empty where nobody can look, or what was seen cannot be used."""
    if media.kind != "image" or not media.reference.startswith(_FETCHED):
        return ""
    said = material("What the user said with it:", [turn.user_text[:_SAID]])
    try:
        sight = await study.look(f"{_PROMPT}\n\n{said}", Sight, [media.reference])
    except (NoModel, Unusable):
        return ""
    return sight.caption.strip()[:_CAPTION]


def _tier(memory: Memory) -> int:
    tags: Mapping[str, int] = {f"{_TIER}{n}": n for n in range(1, 10)}
    return max((tags.get(tag, 0) for tag in (memory.thought.tags if memory.thought else ())), default=0)


def _short(text: str, room: int) -> str:
    """Its first sentences, so many as fit; of one that does not fit the beginning."""
    kept = ""
    for sentence in _SENTENCE.split(text):
        if kept and len(kept) + 1 + len(sentence) > room:
            break
        kept = f"{kept} {sentence}".strip()
    return kept if len(kept) <= room else kept[: room - 1] + "…"
