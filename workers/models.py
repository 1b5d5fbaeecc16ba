"""Which models a KV policy can serve, told from a Hugging Face configuration alone: one full-attention cache per layer,
read by position. Knows neither vLLM nor what a policy is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.kv.errors import PolicyRefused

_INSTEAD = "Serve it with vLLM itself, without --kv, or take a model whose layers all have plain full attention."
_STRETCHABLE = frozenset(("default", "linear", "llama3", "mrope"))
"""Rotary embeddings whose angles do not depend on how long their table is."""
_FULL = frozenset(("full_attention", "attention"))
_EXPANDED = frozenset(("minicpm3",))
"""Latent attention that vLLM writes out by head."""
_RECURRENT = ("mamba_", "ssm_", "linear_attn", "linear_conv", "rwkv", "lru_width")

Config = Mapping[str, Any]


def read(folder: Path) -> Config | None:
    """The configuration in a model's folder; None where there is none to read, as for a name on a hub."""
    try:
        told = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def check(model: str, config: Config) -> None:
    """PolicyRefused for a model that no KV policy can serve, with the reason."""
    text = text_of(config)
    for reason in (_encoder(config), _latent(text), _windowed(text), _hybrid(text), _biased(text)):
        if reason:
            raise PolicyRefused(f"{model} {reason}. {_INSTEAD}")


def check_beyond(model: str, rope: str, trained: int, longest: int) -> None:
    """PolicyRefused unless a rotary table of `longest` positions holds the same angles as one of `trained`; `rope` is
    the embedding's type, "" for a model without one."""
    if rope not in _STRETCHABLE:
        how = f"has rotary positions of type {rope}" if rope else "has no rotary positions"
        raise PolicyRefused(
            f"{model} {how}: its streams cannot be longer than the {trained} tokens that it was trained on, and "
            f"--max-model-len asks for {longest}; --max-model-len {trained} would work."
        )


def check_heads(heads: Mapping[int, Sequence[int]], layers: int, kv_heads: int) -> None:
    """PolicyRefused for a list of heads (layer → KV heads) that was made for another model."""
    for layer, numbers in heads.items():
        if not 0 <= layer < layers or not all(0 <= head < kv_heads for head in numbers):
            raise PolicyRefused(
                f"--heads names heads {list(numbers)} of layer {layer}; this model has layers 0 to {layers - 1} with "
                f"KV heads 0 to {kv_heads - 1}: a list that was made for it would work."
            )


def text_of(config: Config) -> Config:
    """The part that describes the language model."""
    text = config.get("text_config")
    return text if isinstance(text, Mapping) else config


def _encoder(config: Config) -> str:
    return "has an encoder beside its decoder" if config.get("is_encoder_decoder") else ""


def _latent(text: Config) -> str:
    latent = text.get("kv_lora_rank") and text.get("model_type") not in _EXPANDED
    return "has latent attention (MLA): its cache holds no keys by head" if latent else ""


def _windowed(text: Config) -> str:
    kinds = {str(kind) for kind in text.get("layer_types") or ()} - _FULL
    if kinds:
        return f"has layers of other kinds than full attention ({', '.join(sorted(kinds))})"
    window = text.get("sliding_window") if text.get("use_sliding_window", True) else None
    if window and not text.get("layer_types"):
        return f"has sliding windows of {window} tokens of its own"
    chunk = text.get("attention_chunk_size")
    return f"has attention in chunks of {chunk} tokens of its own" if chunk else ""


def _hybrid(text: Config) -> str:
    if text.get("layer_types"):  # it has been looked at already, and says more
        return ""
    found = [key for key, value in text.items() if value and key.startswith(_RECURRENT)]
    return f"mixes attention with recurrent layers ({found[0]})" if found else ""


def _biased(text: Config) -> str:
    biased = text.get("alibi") or text.get("model_type") == "bloom" or (text.get("attn_config") or {}).get("alibi")
    return "weighs by distance (ALiBi): what is left out would change the distances" if biased else ""
