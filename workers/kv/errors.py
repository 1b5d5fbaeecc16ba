"""What can be wrong with a KV policy, said in one line with the nearest setting that works. Knows no engine."""


class PolicyRefused(ValueError):
    """A policy, a knob or a pair of knobs that this engine cannot run; the message names what would work."""
