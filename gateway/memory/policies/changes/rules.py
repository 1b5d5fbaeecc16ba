"""When one statement takes another one back: a person moved, a number changed, a habit ended. Pure.

Every rule asks for little doubt, because a false mark would hide a true fact. What shares no word with what it corrects
is out of reach. Never knows where the statements come from, nor which came first.
"""

from collections.abc import Sequence

from gateway.memory import lexical
from gateway.memory.policies.changes import english
from gateway.memory.policies.changes.statements import Statement, Terms

_ONE = lexical.terms(" ".join(english.ONE))
_HELD = lexical.terms(" ".join(english.HELD))
_FAVOURITE = lexical.terms(" ".join(english.FAVOURITE))
_AGE = lexical.terms("years old")
_NAMED = 2 / 3  # of what is said to have ended, so much must stand in the older statement
_SHORT = 4  # one shared word is enough where the older statement has no more than these


def takes_back(newer: Sequence[Statement], older: Sequence[Statement]) -> bool:
    """Whether some newer statement takes back some older one. Both are by the same speaker."""
    return any(_replaces(new, old) for new in newer for old in older)


def _replaces(new: Statement, old: Statement) -> bool:
    if old.past or old.over:
        return False
    if new.topic != old.topic:
        return _altered(new, old)
    return any(rule(new, old) for rule in ((_ended, _altered) if new.over else _RULES))


def _ended(new: Statement, old: Statement) -> bool:
    """The newer says that it is over with what the older tells: "I no longer work for …", "I sold the …"."""
    if old.negative:
        return False
    stands = old.topic | old.value | lexical.terms(old.verb)
    shared = len(new.over & stands)
    return shared >= max(_NAMED * len(new.over), 1) and (shared > 1 or len(stands) <= _SHORT)


def _reversed(new: Statement, old: Statement) -> bool:
    """The same thing, liked once and not the other time, or the other way round."""
    if new.past or new.verb != old.verb or new.negative == old.negative or new.marks != old.marks:
        return False
    if new.verb not in english.STANCES or not old.value or _passing(new, old):
        return False
    if new.verb == "be" and english.FEELINGS.isdisjoint(new.words):
        return False
    return new.value == old.value or (new.cue and (new.value < old.value or new.value > old.value))


def _moved(new: Statement, old: Statement) -> bool:
    """Another place to live in, another employer, another occupation, another name to be called."""
    if new.verb not in ("live", "work", "call") or new.verb != old.verb or new.negative or old.negative or new.past:
        return False
    sort = _sort(new)
    if not new.cue and (sort == "word" or (sort.endswith("thing") and not english.PLACING.isdisjoint(new.words[1:]))):
        return False  # "in peace" is no place, and "as a volunteer at weekends" one of several
    return bool(sort) and sort == _sort(old) and _differ(new.value, old.value) and _wide(new) == _wide(old)


def _sort(said: Statement) -> str:
    """The kind of a value, with the prepositions of a place and of an employer as one; "" if it tells neither."""
    first, _, rest = said.kind.partition(" ")
    if said.verb == "call":
        return "name" if said.kind == "name" and said.words[0] in ("me", "by") else ""
    if said.verb == "live":
        return rest if first in english.HOMES else ""
    return f"{first} {rest}" if rest in ("name", "thing") and (first == "as" or first in english.EMPLOYERS) else ""


def _wide(said: Statement) -> bool:
    return not english.WIDE.isdisjoint(said.words)


def _renumbered(new: Statement, old: Statement) -> bool:
    """The same said with other numbers, days or dates."""
    if new.verb != old.verb or new.past or new.dated != old.dated or _passing(new, old):
        return False
    if new.marks <= old.marks or new.marks >= old.marks:
        return False
    if new.cue:
        return (new.value <= old.value or new.value >= old.value) and bool(new.topic or old.value or new.verb != "be")
    if new.value != old.value or new.dated or not new.owned or new.verb not in english.COUNTED:
        return False
    return bool(new.topic) or (old.value <= _AGE if new.verb == "be" else True)


def _redefined(new: Statement, old: Statement) -> bool:
    """Another value of the same kind for what "my …" is, or another of the states of which a person is in one."""
    if new.verb != "be" or old.verb != "be" or new.negative or old.negative or new.past:
        return False
    if any(not (states.isdisjoint(new.words[:2]) or states.isdisjoint(old.words[:2])) for states in english.STATES):
        return _differ(new.value, old.value)
    if not new.topic or new.kind != old.kind or not _differ(_worth(new), _worth(old)):
        return False
    if new.topic & (_HELD if new.fresh else _FAVOURITE):
        return True
    if new.kind in ("thing", "word"):
        return bool(new.cue and new.topic & _ONE)
    if new.cue:
        return _wide(new) == _wide(old)
    return bool(new.topic & _ONE and new.kind in ("name", "mark"))


def _passing(new: Statement, old: Statement) -> bool:
    """Whether either was true for the moment only."""
    return not (english.PASSING.isdisjoint(new.words) and english.PASSING.isdisjoint(old.words))


def _worth(said: Statement) -> Terms:
    """Stems of the value, numbers and days included."""
    return said.value | lexical.terms(" ".join(said.marks)) if said.marks else said.value


def _altered(new: Statement, old: Statement) -> bool:
    """What the older defines was changed, moved, put off: "I switched my major to …", "The wedding was moved to …"."""
    if new.verb != "change" or old.verb != "be" or not old.topic or new.negative or old.past:
        return False
    goal = next((i for i, word in enumerate(new.words) if word in english.GOALS), -1)
    if goal < 0 or (new.topic and goal > 0):
        return False
    what = new.topic or lexical.terms(" ".join(new.words[:goal]))
    return old.topic == what and new.dated == old.dated and (not old.dated or new.marks != old.marks)


def _differ(new: Terms, old: Terms) -> bool:
    """Whether each says something that the other does not."""
    return not (new <= old or new >= old)


_RULES = (_reversed, _moved, _renumbered, _redefined, _altered)
