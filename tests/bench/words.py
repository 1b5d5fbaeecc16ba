"""Made-up memories and questions about them: the same for every run that starts from the same seed. Pure."""

import random

USERS = 100
_ROWS = """
sister brother aunt uncle cousin neighbour boss dentist tutor landlord niece nephew mentor flatmate
Ada Bela Cleo Dora Egon Finn Gilda Hugo Ines Jonas Klara Levi Mara Nils Olga Pia Quentin Rosa Sven Tilda
keep repair paint collect sell study photograph build grow restore teach lend
bees clocks boats stamps violins orchids kites radios maps lenses bicycles teapots chess telescopes
Riga Porto Graz Bergen Lyon Turku Ghent Split Cork Basel Vilnius Leiden Tromsø Siena Krakow Aarhus
"""
_WORDS = [row.split() for row in _ROWS.strip().splitlines()]


def user(number: int) -> str:
    """The name of a user; there are USERS of them."""
    return f"user-{number % USERS}"


def fact(dice: random.Random) -> str:
    """Something that a user says about their life."""
    who, name, does, what, where = (dice.choice(row) for row in _WORDS)
    return f"My {who} {name} used to {does} {what} in {where} until {dice.randrange(1950, 2025)}."


def question(dice: random.Random) -> str:
    """Something that a user asks about it: one of some 750,000, so hardly ever asked before."""
    who, name, does, what, where = (dice.choice(row) for row in _WORDS)
    return f"Did my {who} {name} {does} {what} in {where}?"
