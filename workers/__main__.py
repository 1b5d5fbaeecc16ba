"""`python -m workers`: which command is meant, and its exit status. Knows nothing of policies; imports only the command
that was asked for, so that what needs no vLLM runs without it."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from workers.kv.errors import PolicyRefused

COMMANDS = {
    "serve": ("workers.launch:command", "start vLLM under a KV policy, and prove that it is active"),
    "policies": ("workers.catalogue:command", "the KV policies with their knobs"),
    "calibrate": ("workers.calibrate.command:command", "find the KV heads that retrieve, for --kv duo"),
}
"""Each takes the rest of the command line. A new command is one line here."""

_USAGE = "usage: python -m workers COMMAND ...\n\n{commands}\n\nEach tells more with --help.\n"


def main(arguments: Sequence[str]) -> int:
    """0 when it ended well, 1 when it was refused, 2 for a command line that means nothing, 130 on Ctrl-C."""
    if not arguments or arguments[0] not in COMMANDS:
        asked_for_help = bool(arguments) and arguments[0] in ("-h", "--help")
        lines = (f"  {name:12}{what}" for name, (_, what) in COMMANDS.items())
        (sys.stdout if asked_for_help else sys.stderr).write(_USAGE.format(commands="\n".join(lines)))
        return 0 if asked_for_help else 2
    module, _, attribute = COMMANDS[arguments[0]][0].partition(":")
    command: Callable[[Sequence[str]], None] = getattr(import_module(module), attribute)
    try:
        command(arguments[1:])
    except PolicyRefused as refused:
        sys.stderr.write(f"python -m workers {arguments[0]}: {refused}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
