"""Which vLLM this plug-in was written against, and where that range keeps what the launcher needs. Imports vLLM only
when asked for a part of it."""

import re
from importlib import import_module
from typing import Any

from workers.kv.errors import PolicyRefused

_FROM, _BELOW = (0, 32), (0, 34)
_PARTS = {
    "make_arg_parser": ("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args"),
    "validate_parsed_serve_args": ("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args"),
    "cli_env_setup": ("vllm.entrypoints.common.startup", "vllm.entrypoints.serve.utils.api_utils"),
}
"""Where 0.33 has it, where 0.32 has it."""


def found() -> str:
    """The version of the vLLM that is here. Its CPU build is not known to the package metadata by this name."""
    return str(import_module("vllm").__version__)


def check(version: str) -> None:
    """PolicyRefused unless this version of vLLM, such as "0.32.0+cpu", is supported."""
    told = re.match(r"(\d+)\.(\d+)", version)
    if told is None or not _FROM <= (int(told[1]), int(told[2])) < _BELOW:
        raise PolicyRefused(
            f"vLLM {version} is here; KV policies support {_shown(_FROM)} and newer, below {_shown(_BELOW)}: "
            f"pip install 'vllm>={_shown(_FROM)},<{_shown(_BELOW)}'."
        )


def part(name: str) -> Any:
    """A function of vLLM's that has moved within the supported range."""
    for module in _PARTS[name]:
        try:
            function = getattr(import_module(module), name, None)
        except ModuleNotFoundError:
            continue
        if function is not None:
            return function
    raise PolicyRefused(f"This vLLM has no {name} where it is known to be.")


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
