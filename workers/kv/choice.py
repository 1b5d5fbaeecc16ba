"""A policy by name with its knobs, checked: against the policy's own list, and against the engine that is to run it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from pydantic import ValidationError

from workers.kv.errors import PolicyRefused
from workers.kv.knobs import Knobs
from workers.kv.policies import TABLE
from workers.kv.policies.base import Policy

_WHOLE_BLOCKS = ("window", "vision_window")
_SHORTEST = 2  # blocks: one of window and one of budget


@dataclass(frozen=True, slots=True)
class Engine:
    """What a policy must fit into. All lengths are tokens but `pool`, in blocks; 0: not known yet."""

    block: int
    longest: int
    chunk: int
    trained: int = 0
    pool: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A name of the table and its knobs, every default filled in."""

    name: str
    knobs: Knobs

    @property
    def key(self) -> str:
        """The same for two choices exactly if they retain the same: what a prefix cache must be salted with."""
        return f"{self.name}:{self.knobs.model_dump_json(exclude_none=True)}"

    def policy(self, block: int) -> Policy:
        """The policy itself, counting in blocks of `block` tokens."""
        return kind(self.name).built(self.knobs, block)

    def check(self, engine: Engine) -> None:
        """PolicyRefused, with the nearest setting that works, if the engine cannot hold it."""
        for knob in _WHOLE_BLOCKS:
            _whole_blocks(knob, getattr(self.knobs, knob), engine.block)
        policy = self.policy(engine.block)
        _fits_training(self.name, policy, engine)
        _fits_pool(self.name, policy, engine)


def kind(name: str) -> type[Policy]:
    """The class of a name in the table; PolicyRefused for any other name."""
    if name not in TABLE:
        raise PolicyRefused(f"There is no KV policy {name!r}; there are {', '.join(TABLE)}.")
    module, _, attribute = TABLE[name].partition(":")
    found: type[Policy] = getattr(import_module(module), attribute)
    return found


def chosen(name: str, given: Mapping[str, object]) -> Choice:
    """A choice from the knobs that were given; PolicyRefused for a knob that is unknown, out of range or missing."""
    takes = kind(name).KNOBS
    for knob in given:
        if knob not in takes:
            knows = f"it takes {', '.join(takes)}" if takes else "it takes none"
            raise PolicyRefused(f"The policy {name} has no knob {knob!r}; {knows}.")
    defaults = {knob: value for knob, value in takes.items() if value is not ... and value is not None}
    told = {knob: value for knob, value in given.items() if value is not None}
    try:
        knobs = Knobs.model_validate({**defaults, **told})
    except ValidationError as wrong:
        lines = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong.errors(include_url=False))
        raise PolicyRefused(f"A knob of {name} is wrong: {'; '.join(lines)}.") from None
    for knob, value in takes.items():
        if value is ... and getattr(knobs, knob) is None:
            raise PolicyRefused(f"The policy {name} needs {knob}: {Knobs.model_fields[knob].description}.")
    return Choice(name, knobs)


def _whole_blocks(knob: str, tokens: int | None, block: int) -> None:
    if tokens is None or tokens % block == 0:
        return
    below, above = tokens // block * block, -(-tokens // block) * block
    near = f"{below} or {above}" if below else f"{above}"
    raise PolicyRefused(f"{knob} {tokens} is not a multiple of the block of {block} tokens; {near} would be.")


def _fits_training(name: str, policy: Policy, engine: Engine) -> None:
    """Beyond the trained context what is read must still lie inside it, with the query's own block and one to spare."""
    if not 0 < engine.trained < engine.longest:
        return
    kept = policy.most()
    if kept is None:
        raise PolicyRefused(
            f"{name} reads everything, the model was trained on {engine.trained} tokens, and streams of up "
            f"to {engine.longest} are to be served: --max-model-len {engine.trained} would work, "
            "or a policy with a window."
        )
    read, fits = kept + policy.room(), engine.trained // engine.block - 2
    if read > fits:
        near = f"sink, window and budget together may be at most {fits * engine.block}"
        if fits < _SHORTEST:
            near = f"that is too short for blocks of {engine.block}, --max-model-len {engine.trained} would work"
        raise PolicyRefused(
            f"{name} reads {read * engine.block} tokens, but the model was trained on {engine.trained} and streams of "
            f"up to {engine.longest} are to be served: {near}."
        )


def _fits_pool(name: str, policy: Policy, engine: Engine) -> None:
    if not engine.pool:
        return
    usable = engine.pool - 1  # vLLM keeps one block for itself
    needed = held(policy, engine.block, engine.chunk, engine.longest, engine.trained)
    if needed <= usable:
        return
    step = -(-min(engine.chunk, engine.longest) // engine.block) + 1
    copies = policy.apart() if 0 < engine.trained < engine.longest else 0
    fits = usable - step - copies  # shorter knobs need no more copies than these
    if policy.most() is None:
        room = f"a context of at most {usable * engine.block} tokens would"
    elif fits >= _SHORTEST:
        room = f"sink, window and budget of at most {fits * engine.block} tokens together would"
    else:
        room = f"a pool of {needed + 1} blocks would, or a smaller --max-num-batched-tokens than {engine.chunk}"
    raise PolicyRefused(
        f"{name} needs {needed} blocks of {engine.block} tokens for one request, the pool has {usable}; {room}."
    )


def held(policy: Policy, block: int, in_flight: int, longest: int, trained: int) -> int:
    """The most blocks that one request holds while `in_flight` tokens are computed; lengths in tokens."""
    everything, most = -(-longest // block), policy.most()
    copies = policy.room() + (policy.apart() if 0 < trained < longest else 0)
    if most is None:
        return everything + copies
    return min(everything, most + -(-in_flight // block) + 1) + copies
