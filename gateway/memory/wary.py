"""Memories that read like orders to a model: found, marked, and put behind those that do not. Pure.

Memory is data (promise 6), and anybody whose text reaches a conversation can write some of it. The block in which
memories stand says so and cannot be left; this is the second line: what looks like an attempt never stands before what
somebody simply told, and a trace says that it was noticed. A sign is no proof, so nothing is thrown away.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from gateway.memory.records import Hit, Memory

_ORDERS = re.compile(
    r"""\b(?:ignore|disregard|forget|override|bypass|skip)\b.{0,30}\b(?:previous|prior|above|earlier|preceding|all|any|every|
        your|these|those)\b.{0,30}\b(?:instructions?|prompts?|rules?|messages?|guidelines?|directions?|context|
        polic(?:y|ies)|restrictions?)\b
      | \b(?:reveal|print|repeat|show|output|leak|send|tell\s+\w+)\b.{0,40}\b(?:system\s+prompt|admin\s+key|
        api\s+keys?|hidden\s+instructions?|your\s+instructions?)\b
      | \byou\s+are\s+(?:now|no\s+longer|not)\s+(?:an?|the|in|bound|allowed|required)\b
      | \b(?:from\s+now\s+on|henceforth),?\s+(?:you|always|never|respond|reply|answer)\b
      | \b(?:new|updated|real|actual|important)\s+(?:system\s+)?(?:instructions?|prompt)\s*:
      | \b(?:act|behave|respond|answer)\s+as\s+(?:if\s+you|an?\s+(?:unrestricted|unfiltered|jailbroken))
      | \b(?:do\s+not|don't|never)\s+(?:tell|mention|inform|reveal\s+to)\s+(?:the\s+)?user\b
      | \bdeveloper\s+mode\b | \bjailbreak | \bDAN\s+mode\b""",
    re.I | re.S | re.X,
)
_ROLES = re.compile(
    r"""<\|?/?(?:im_start|im_end|system|assistant|user|tool|instructions?|s|INST|SYS)\|?>|\[/?(?:INST|SYS(?:TEM)?)\]|<</?SYS>>
      | ^\s*(?:\#{1,4}\s*)?(?:system|assistant|developer|operator|tool)\s*(?:message|prompt|note)?\s*(?:[:>\]]|$)
      | \[[^\]\n]{0,40}\]\s*(?:system|assistant|operator|developer|note)\s*:
      | \b(?:begin|end)\s+(?:of\s+)?(?:system|memory|context|user)\b""",
    re.I | re.M | re.X,
)
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]")
_FEW = 3  # a family emoji or a right-to-left name has some of them
_SIGNS = (("orders", _ORDERS), ("roles", _ROLES))


def sign(memory: Memory) -> str:
    """What a memory looks like beside what it tells: "orders" to a model, "roles" that it is not to speak in, "hidden"
    characters; "" for none of it. Invisible characters do not hide the others."""
    for text in (memory.text, memory.reply):
        seen = _HIDDEN.sub("", text)
        for name, pattern in _SIGNS:
            if pattern.search(seen):
                return name
        if len(text) - len(seen) > _FEW:
            return "hidden"
    return ""


def wary(hits: Sequence[Hit]) -> list[Hit]:
    """The same hits with what each looks like; of those that may enter a prompt, the ones with a sign come last."""
    marked = [hit if hit.dropped else replace(hit, suspect=sign(hit.memory)) for hit in hits]
    return sorted(marked, key=lambda hit: bool(hit.suspect)) if any(hit.suspect for hit in marked) else marked
