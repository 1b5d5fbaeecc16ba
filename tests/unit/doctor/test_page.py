"""The page tells every check that there is, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_check_has_its_row() -> None:
    """By the name that the table prints."""
    sources = [*ROOT.glob("gateway/doctor/*.py"), ROOT / "gateway/wiring/doctor.py"]
    text = "\n".join(path.read_text() for path in sources)
    named = {*re.findall(r'Finding\(\s*"([a-z -]+)"', text), *re.findall(r'name, told = "([a-z ]+)"', text)}
    section = (ROOT / "docs/data.md").read_text().partition("## Doctor\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]

    assert {found for row in rows for found in re.findall(r"`([^`]+)`", row)} == named - {"all else"}
