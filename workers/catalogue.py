"""`python -m workers policies`: every KV policy, its knobs, their units and defaults. Needs neither vLLM nor torch."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module

from workers.kv.choice import kind
from workers.kv.knobs import Knobs
from workers.kv.policies import TABLE


def command(arguments: Sequence[str]) -> None:
    """Print them."""
    argparse.ArgumentParser(prog="python -m workers policies", description="Lists KV policies.").parse_args(arguments)
    policies = "\n\n".join("\n".join(described(name)) for name in TABLE)
    sys.stdout.write(f"{policies}\n\nAll lengths are tokens.\n")


def described(name: str) -> Iterator[str]:
    """A policy in lines: what it is, then its knobs."""
    policy = kind(name)
    told = import_module(policy.__module__).__doc__ or ""
    yield f"{name}: {told.splitlines()[0]}"
    for knob, default in policy.KNOBS.items():
        shown = "required" if default is ... else "optional" if default is None else str(default)
        yield f"  --{knob.replace('_', '-'):15}{shown:10}{Knobs.model_fields[knob].description}"
    notes = {
        "no prefix cache: what its blocks hold depends on more than their prefix": not policy.SHAREABLE,
        "the whole engine runs it: requests cannot choose it, nor others beside it": not policy.PER_REQUEST,
    }
    yield from (f"  ({note})" for note, holds in notes.items() if holds)
