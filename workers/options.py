"""What `python -m workers serve` takes itself: the model, the policy, its knobs. Everything else on the line is vLLM's,
and stays as it is. Imports no vLLM."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.kv.choice import Choice, chosen
from workers.kv.errors import PolicyRefused
from workers.kv.knobs import Knobs

_TEXT = """Starts vLLM's OpenAI server under a KV policy. All other options are vLLM's own and are handed on
(python -m vllm.entrypoints.launchers.api_server.entry --help). What a policy takes: python -m workers policies."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`trained` in tokens, None if the model's own configuration is to say; `sessions`: where their KV is kept, if it
    is; `others` are vLLM's arguments, in order."""

    model: str
    choice: Choice
    trained: int | None
    sessions: Path | None
    others: tuple[str, ...]


def read(arguments: Sequence[str]) -> Asked:
    """The command line taken apart; PolicyRefused for a policy or knob that cannot be. Prints help if asked."""
    parser = argparse.ArgumentParser(prog="python -m workers serve", description=_TEXT, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="a folder or a name, as vLLM takes it")
    parser.add_argument("--kv", required=True, metavar="POLICY", help="the KV policy")
    parser.add_argument(
        "--trained",
        type=_length,
        metavar="TOKENS",
        help="context that the model was trained on, if not what its configuration says",
    )
    parser.add_argument(
        "--sessions", type=Path, metavar="DIR", help="keep the KV of sessions here, see docs/kv-sessions.md"
    )
    knobs = parser.add_argument_group("knobs", "Lengths are tokens. Those that are not given are the policy's own.")
    for name, field in Knobs.model_fields.items():
        metavar = "FILE" if name == "heads" else "VALUE"
        knobs.add_argument(_option(name), dest=name, metavar=metavar, help=field.description)
    told, others = parser.parse_known_args(arguments)
    given = {name: getattr(told, name) for name in Knobs.model_fields if getattr(told, name) is not None}
    return Asked(told.model, chosen(told.kv, _read(given)), told.trained, told.sessions, tuple(others))


def heads(path: Path) -> dict[int, list[int]]:
    """Layer → its KV heads that keep everything, from JSON {"layers": {"0": [0, 1]}}; PolicyRefused if it is none."""
    try:
        layers = json.loads(path.read_text())["layers"]
        return {int(layer): [int(head) for head in numbers] for layer, numbers in layers.items()}
    except OSError as missing:
        raise PolicyRefused(f"--heads {path} cannot be read: {missing.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PolicyRefused(f'--heads {path} lists no heads: {{"layers": {{"0": [0, 1]}}}} would.') from None


def _ids(text: str) -> list[str]:
    return text.split(",")


_READERS: Mapping[str, Callable[[str], Any]] = {"heads": lambda path: heads(Path(path)), "vision_tokens": _ids}


def _read(given: Mapping[str, str]) -> dict[str, object]:
    """Knobs as a choice takes them; it turns texts into numbers itself, and says so where they are none."""
    return {name: _READERS.get(name, str)(value) for name, value in given.items()}


def _option(knob: str) -> str:
    return f"--{knob.replace('_', '-')}"


def _length(text: str) -> int:
    length = int(text)
    if length < 1:
        raise ValueError(text)
    return length
