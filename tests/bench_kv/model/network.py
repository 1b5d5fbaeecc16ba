"""A small Llama, as plain tensors in the layout that vLLM and transformers load. It computes; it must never know what
the tokens mean or how it is trained."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as nn

Weights = dict[str, Tensor]
_EPSILON = 1e-5
_SPREAD = 0.05  # standard deviation of what the embedding starts with


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes. `context` is the length, in tokens, that it is trained for."""

    vocabulary: int
    layers: int = 4
    hidden: int = 192
    inner: int = 576
    heads: int = 6
    kv_heads: int = 3
    head: int = 32
    context: int = 512
    theta: float = 10_000.0


def fresh(shape: Shape) -> Weights:
    """Weights to start from; the embedding is also the output layer. What writes into the residual stream starts
    smaller the more layers there are (GPT-2's rule)."""
    width, narrow, few = shape.heads * shape.head, shape.kv_heads * shape.head, (2 * shape.layers) ** -0.5
    weights = {"model.embed_tokens.weight": torch.randn(shape.vocabulary, shape.hidden) * _SPREAD}
    for layer in range(shape.layers):
        for part, rows, columns, scale in (
            ("self_attn.q_proj", width, shape.hidden, 1.0),
            ("self_attn.k_proj", narrow, shape.hidden, 1.0),
            ("self_attn.v_proj", narrow, shape.hidden, 1.0),
            ("self_attn.o_proj", shape.hidden, width, few),
            ("mlp.gate_proj", shape.inner, shape.hidden, 1.0),
            ("mlp.up_proj", shape.inner, shape.hidden, 1.0),
            ("mlp.down_proj", shape.hidden, shape.inner, few),
        ):
            weights[_name(layer, part)] = torch.randn(rows, columns) * (scale * columns**-0.5)
        for part in ("input_layernorm", "post_attention_layernorm"):
            weights[_name(layer, part)] = torch.ones(shape.hidden)
    weights["model.norm.weight"] = torch.ones(shape.hidden)
    return weights


def rotations(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, head] of positions 0 to length - 1 (RoPE, halves as transformers lays them)."""
    rates = shape.theta ** (-torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def read(weights: Weights, shape: Shape, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Of `tokens` [batch, length]: the scores [batch, length, vocabulary] of what follows each, and how loud the heads
    were [batch, length]. A head's loudness is the length of what it adds to the state, over the state's own; summed
    over all heads."""
    table = weights["model.embed_tokens.weight"]
    state = nn.embedding(tokens, table)
    turn = rotations(shape, tokens.shape[1])
    loud = torch.zeros(tokens.shape)
    for layer in range(shape.layers):
        part = {name: weights[_name(layer, name)] for name in _PARTS}
        heads = _attention(part, shape, _norm(state, part["input_layernorm"]), turn)
        out = part["self_attn.o_proj"]
        loud = loud + (_lengths(heads, out) / state.detach().norm(dim=-1)[:, None]).sum(1)
        state = state + nn.linear(heads.transpose(1, 2).flatten(2), out)
        state = state + _mlp(part, _norm(state, part["post_attention_layernorm"]))
    return nn.linear(_norm(state, weights["model.norm.weight"]), table), loud


def save(weights: Weights, shape: Shape, folder: Path, bos: int, eos: int, pad: int) -> None:
    """Write `model.safetensors` and `config.json`."""
    plain = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
    save_file(plain, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head,
        "max_position_embeddings": shape.context,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.theta},
        "rms_norm_eps": _EPSILON,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": pad,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))


_PARTS = (
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


def _name(layer: int, part: str) -> str:
    return f"model.layers.{layer}.{part}.weight"


def _norm(state: Tensor, weight: Tensor) -> Tensor:
    return nn.rms_norm(state, (state.shape[-1],), weight, _EPSILON)


def _attention(part: Weights, shape: Shape, state: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """What each head found: [batch, heads, length, head]."""
    joined = torch.cat([part["self_attn.q_proj"], part["self_attn.k_proj"], part["self_attn.v_proj"]])
    heads = nn.linear(state, joined).unflatten(-1, (-1, shape.head)).transpose(1, 2)
    query, key, value = heads.split([shape.heads, shape.kv_heads, shape.kv_heads], dim=1)
    return nn.scaled_dot_product_attention(
        _turned(query, turn), _turned(key, turn), value, is_causal=True, enable_gqa=True
    )


def _lengths(heads: Tensor, out: Tensor) -> Tensor:
    """[batch, heads, length]: the norms of what `out` [hidden, heads * head] makes of each head's part."""
    parts = out.unflatten(1, (heads.shape[1], heads.shape[3])).transpose(0, 1)
    squares = heads @ (parts.mT @ parts) * heads
    return squares.sum(-1).clamp_min(_EPSILON**2).sqrt()


def _turned(heads: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return heads * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]


def _mlp(part: Weights, state: Tensor) -> Tensor:
    gate, up = nn.linear(state, torch.cat([part["mlp.gate_proj"], part["mlp.up_proj"]])).chunk(2, dim=-1)
    return nn.linear(nn.silu(gate) * up, part["mlp.down_proj"])
