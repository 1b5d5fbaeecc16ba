"""Two conversations of twenty turns with a fixed text, and the memories that help in them. Pure; made up here."""

from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]

SYSTEM = (
    "You help with letters and presents. You are kind, brief and practical, you never invent what you were not told, "
    "and where somebody's taste is unknown you say so and propose something small."
)
_PEOPLE = [
    ("sister", "Ada", "Riga", "keeps bees", "barley soup", "an old tandem"),
    ("brother", "Olaf", "Tromsø", "carves wooden birds", "fish stew", "a snow scooter"),
    ("cousin", "Mirela", "Cluj", "restores accordions", "plum dumplings", "a red van"),
    ("uncle", "Tibor", "Szeged", "grows paprika", "bean goulash", "a three-wheeled moped"),
    ("aunt", "Solveig", "Bergen", "knits for lighthouse keepers", "waffles", "a rowing boat"),
    ("grandmother", "Ines", "Évora", "paints tiles", "almond cake", "a grey donkey"),
    ("neighbour", "Casimir", "Lublin", "repairs clocks", "beetroot pie", "a cargo bicycle"),
    ("teacher", "Yasmin", "Fez", "binds books", "lentil soup", "a tiny electric car"),
    ("godfather", "Anselm", "Trier", "tunes organs", "onion tart", "a sidecar"),
    ("colleague", "Priya", "Pune", "photographs moths", "lime rice", "a scooter without brakes"),
    ("niece", "Lotte", "Ghent", "juggles on stilts", "chocolate bread", "a unicycle"),
    ("nephew", "Bram", "Leiden", "breeds tulips", "pea soup", "a canal barge"),
    ("friend", "Keiko", "Nara", "folds paper cranes", "chestnut rice", "a folding bicycle"),
    ("dentist", "Marcel", "Namur", "collects barometers", "leek gratin", "a steam tractor"),
    ("landlady", "Petra", "Graz", "mends umbrellas", "pumpkin strudel", "a milk float"),
    ("classmate", "Diego", "Salta", "weaves ponchos", "maize pasties", "a patient mule"),
    ("boss", "Harriet", "Whitby", "rings church bells", "kipper toast", "a fire engine"),
    ("baker", "Nino", "Kutaisi", "sings in a men's choir", "cheese bread", "a blue minibus"),
    ("doctor", "Selma", "Mostar", "dives for mussels", "fig preserve", "a wooden sledge"),
    ("tailor", "Femi", "Ibadan", "races pigeons", "yam porridge", "a yellow taxi"),
]
_MONTHS = ("January", "March", "April", "June", "August", "October", "December")
FACTS = [
    f"My {who} {name} lives in {place} these days and {craft}. On Sundays {name} cooks {dish} for the whole street, "
    f"goes everywhere by {ride}, and has a birthday in {_MONTHS[at % len(_MONTHS)]} that I forgot twice already."
    for at, (who, name, place, craft, dish, ride) in enumerate(_PEOPLE)
]
"""What a user told earlier, each in a conversation of its own: about 40 words."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user says and the messages that follow it; each of them that is the assistant's is a call."""

    said: str
    after: tuple[Message, ...]


def plain() -> list[Turn]:
    """Questions, and answers of about 40 words."""
    return [Turn(_question(at), (_answer(at),)) for at in range(len(_PEOPLE))]


def with_tools() -> list[Turn]:
    """The same, but in every third turn the assistant looks something up before it answers."""
    return [
        Turn(turn.said, (*_looked_up(at), *turn.after) if at % 3 == 1 else turn.after)
        for at, turn in enumerate(plain())
    ]


TALKS = {"plain": plain, "tool loops": with_tools}


def _question(at: int) -> str:
    who, name, place, *_ = _PEOPLE[at]
    return f"Tonight I write to my {who} {name} in {place}. What would be a good present to go with it?"


def _answer(at: int) -> Message:
    name, place = _PEOPLE[at][1], _PEOPLE[at][2]
    said = (
        f"Begin with the weather in {place}, ask {name} how the year has been, and tell one small story of your own. "
        "As for the present, choose something that fits into an envelope: good paper, seeds for the spring, "
        "or a photograph of the two of you."
    )
    return {"role": "assistant", "content": said}


def _looked_up(at: int) -> tuple[Message, Message]:
    place = _PEOPLE[at][2]
    call = {"id": f"call_{at}", "type": "function", "function": {"name": "post", "arguments": f'{{"to": "{place}"}}'}}
    found = (
        f"Letters to {place}: two to five working days, last collection at a quarter past six. Parcels: up to nine "
        "days, customs form needed above twenty euros. No delivery on public holidays, and none while roads are closed."
    )
    return (
        {"role": "assistant", "content": f"I will look up the post to {place}.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": found},
    )
