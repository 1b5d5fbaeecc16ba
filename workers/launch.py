"""`python -m workers serve`: start vLLM under a KV policy, or say in one line why not. Knows nothing of blocks; what
can be refused without vLLM is refused before vLLM, which takes long, is loaded."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from workers import models
from workers.kv.errors import PolicyRefused
from workers.options import read
from workers.vllm_plugin import versions
from workers.vllm_plugin.arguments import engine_arguments


def command(arguments: Sequence[str]) -> None:
    """Serve until a signal; PolicyRefused for what cannot be served as it was asked for."""
    asked = read(arguments)
    config = models.read(Path(asked.model))
    if config is not None:
        models.check(asked.model, config)
    if find_spec("vllm") is None:
        raise PolicyRefused(
            "vLLM is not installed here: pip install 'mneme[vllm]' beside a GPU, see docs/kv.md for a CPU."
        )
    versions.check(versions.found())
    from workers.vllm_plugin.serving import serve

    serve(asked)


__all__ = ["command", "engine_arguments"]
