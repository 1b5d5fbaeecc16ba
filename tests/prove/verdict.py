"""What a part of `make prove` tried and found, and the one table of all of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.prove.table import drawn

_HEAD = ("part", "what was tried", "how many", "what must not be", "found")


@dataclass(frozen=True)
class Verdict:
    """`number` of what was `tried`; of `never` as many as were `found`. `told` says which, as far as is useful."""

    part: str
    tried: str
    number: int
    never: str
    found: int
    told: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Something was tried, and nothing was found."""
        return bool(self.number) and not self.found


def summary(verdicts: Sequence[Verdict]) -> str:
    """In Markdown, a line per verdict; below it what was found, if anything was."""
    rows = [(each.part, each.tried, f"{each.number:,}", each.never, f"{each.found:,}") for each in verdicts]
    findings = [f"- {each.part}: {told}" for each in verdicts for told in each.told]
    return "\n".join([drawn(_HEAD, rows, left=(0, 1, 3)), *(["", *findings] if findings else [])])
