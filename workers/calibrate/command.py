"""`python -m workers calibrate MODEL --out FILE`: reads the options, runs the probe, writes what --heads reads."""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.calibrate.prompts import KEY, Prompt, Shape, passkey, prompt, words
from workers.calibrate.ranking import best_heads, best_layers
from workers.kv.errors import PolicyRefused

if TYPE_CHECKING:
    from workers.calibrate.probe import Probe

_TEXT = f"""Finds the KV heads of a model that retrieve, for python -m workers serve --kv duo --heads FILE. Random words
are hidden in a filler and said again at the end; a head scores the share of its attention that goes from there to where
they were hidden, out of reach of sinks and window. --needle and --question, with {KEY} in both, hide a pass key of
digits instead."""


def command(arguments: Sequence[str]) -> None:
    """Writes the file and says what was found; PolicyRefused for what cannot be probed."""
    asked = _parser().parse_args(arguments)
    if not 0 < asked.share < 1:
        raise PolicyRefused(f"--share {asked.share} is no share of the heads: 0.5 would be one.")
    if (asked.needle is None) != (asked.question is None):
        raise PolicyRefused("--needle says the pass key and --question asks for it: give both, or neither.")
    if not asked.out.parent.is_dir():
        raise PolicyRefused(f"--out {asked.out}: there is no folder {asked.out.parent}.")
    found = calibrated(asked)
    asked.out.write_text(json.dumps(found, indent=1) + "\n")
    chosen, total = (sum(map(len, found[key].values())) for key in ("layers", "scores"))
    sys.stdout.write(
        f"{chosen} of {total} KV heads retrieve: {asked.out}\n"
        "mean log p of what was hidden: {full:.3f} with full attention, {duo:.3f} with these heads, "
        "{streaming:.3f} if all stream\n".format(**found["check"])
    )


def calibrated(asked: argparse.Namespace) -> dict[str, Any]:
    """What the file holds. "layers" is what --heads reads; "scores" by layer and KV head; "check" is the mean log p of
    what was hidden with full attention, with these heads, and if all stream; "probe" is how it was found."""
    from workers.calibrate.probe import Probe  # torch and transformers, which --help does without

    probe = Probe(asked.model, asked.device)
    if asked.length > probe.trained:
        raise PolicyRefused(
            f"{asked.model} knows no prompt of {asked.length} tokens: --length {probe.trained} would do."
        )
    prompts = _prompts(asked, probe)
    scores = probe.scores(prompts)
    chosen = (best_layers if asked.per == "layer" else best_heads)(scores, asked.share)
    return {
        "layers": {str(layer): heads for layer, heads in chosen.items()},
        "scores": {str(layer): [round(score, 5) for score in row] for layer, row in enumerate(scores)},
        "check": {
            "full": probe.said(prompts),
            "duo": probe.said(prompts, chosen, asked.sink, asked.window),
            "streaming": probe.said(prompts, {}, asked.sink, asked.window),
        },
        "probe": {name: _plain(value) for name, value in vars(asked).items() if name != "out"},
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _prompts(asked: argparse.Namespace, probe: "Probe") -> list[Prompt]:
    """Words: several in a prompt. Pass keys: one, or the question would not say which is meant."""
    shape = Shape(asked.length, asked.sink, asked.window)
    first, plain = probe.vocabulary()
    text = _text(asked.text, probe) if asked.text else []
    known = sorted(set(text)) or plain
    chance = random.Random(asked.seed)  # noqa: S311 -- nothing is secret here
    made = []
    for _ in range(asked.prompts):
        if asked.needle is None:
            hidden = [words(chance, known, asked.words) for _ in range(asked.needles)]
        else:
            hidden = [passkey(chance, probe.encode, asked.needle, asked.question)]
        made.append(prompt(shape, hidden, text or chance.choices(known, k=asked.length), first, chance))
    return made


def _text(file: Path, probe: "Probe") -> list[int]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as wrong:
        raise PolicyRefused(f"--text {file} cannot be read: {wrong}.") from None
    tokens = probe.encode(text)
    if not tokens:
        raise PolicyRefused(f"--text {file} is empty.")
    return tokens


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers calibrate", description=_TEXT, allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", help="a folder or a name, as Hugging Face takes it")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the heads are written")
    parser.add_argument("--share", type=float, default=0.5, help="of KV heads, or layers, that retrieve (%(default)s)")
    parser.add_argument("--per", choices=("head", "layer"), default="head", help="what is chosen (%(default)s)")
    parser.add_argument("--sink", type=_length, default=64, help="tokens; as it will be served (%(default)s)")
    parser.add_argument("--window", type=_length, default=256, help="tokens; as it will be served (%(default)s)")
    parser.add_argument("--length", type=_length, default=1024, help="of a prompt, in tokens (%(default)s)")
    parser.add_argument("--prompts", type=_length, default=8, help="how many (%(default)s)")
    parser.add_argument("--needles", type=_length, default=8, help="strings of words in each prompt (%(default)s)")
    parser.add_argument("--words", type=_length, default=16, help="in each string, in tokens (%(default)s)")
    parser.add_argument("--needle", metavar="TEXT", help=f"hide this instead, with a pass key for {KEY}")
    parser.add_argument("--question", metavar="TEXT", help=f"and ask so, the answer standing for {KEY}")
    parser.add_argument("--text", type=Path, metavar="FILE", help="filler and words from this text; else random tokens")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--device", default="cpu", help="as torch names it (%(default)s)")
    return parser


def _length(text: str) -> int:
    length = int(text)
    if length < 1:
        raise ValueError(text)
    return length
