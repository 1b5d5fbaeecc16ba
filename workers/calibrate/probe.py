"""A model in Hugging Face whose attention can be watched and narrowed, head by head. Knows the probe's prompts, not how
heads are chosen from what it measures."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, AutoTokenizer

from workers.calibrate.prompts import Prompt
from workers.calibrate.ranking import Chosen
from workers.kv.errors import PolicyRefused
from workers.models import check

_NAME = "mneme_probe"

Look = Callable[[int, torch.Tensor, torch.Tensor, float], "torch.Tensor | None"]
"""(layer, queries [heads, tokens, size], keys [KV heads, tokens, size], scale) → what each KV head sees, bool
[KV heads, tokens, tokens], or None for plain causal attention."""


class Probe:
    """One model, read from a folder or by name, in float32."""

    def __init__(self, model: str, device: str) -> None:
        self._look: Look | None = None
        AttentionInterface.register(_NAME, self._attend)
        try:
            config = AutoConfig.from_pretrained(model)
            check(model, config.to_dict())
            loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation=_NAME)
            self._tokenizer = AutoTokenizer.from_pretrained(model)
        except OSError as missing:
            raise PolicyRefused(f"{model} cannot be read: {missing}") from None
        self._model = loaded.eval().to(device)
        self._device, self._name = device, model
        text = config.get_text_config()
        self.layers: int = text.num_hidden_layers
        self.trained: int = text.max_position_embeddings
        self._entries: int = text.vocab_size

    def vocabulary(self) -> tuple[int | None, list[int]]:
        """The token that begins every text, if there is one, and all tokens that mean text."""
        special = set(self._tokenizer.all_special_ids) | set(self._tokenizer.added_tokens_decoder)
        number = min(self._entries, len(self._tokenizer))
        return self._tokenizer.bos_token_id, [token for token in range(number) if token not in special]

    def encode(self, text: str) -> list[int]:
        """A text in tokens, nothing added."""
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def scores(self, prompts: Sequence[Prompt]) -> list[list[float]]:
        """For each layer and KV head, the share of attention that goes to where a token was hidden when it is to be
        said: 0 to 1, the mean over prompts and tokens. Of query heads that share a KV head, the highest counts."""
        found: dict[int, list[torch.Tensor]] = {}
        for prompt in prompts:
            rows = torch.tensor(prompt.asked, device=self._device)
            wanted = torch.zeros(len(rows), len(prompt.tokens), dtype=torch.bool)
            for row, span in enumerate(prompt.spans):
                wanted[row, span.start : span.stop] = True
            self._run(prompt, _watching(rows, wanted.to(self._device), found))
        if sorted(found) != list(range(self.layers)):
            raise PolicyRefused(
                f"The attention of {self._name} cannot be watched in Hugging Face: find its heads elsewhere."
            )
        return [torch.stack(found[layer]).mean(0).tolist() for layer in range(self.layers)]

    def said(self, prompts: Sequence[Prompt], chosen: Chosen | None = None, sink: int = 0, window: int = 0) -> float:
        """Mean log p of what was hidden: with full attention or, if heads were `chosen`, where these read everything
        and the others sinks and window, to the token (the engine's whole blocks are a little more)."""
        look = None if chosen is None else _narrowed(chosen, sink, window, self._device)
        total, number = 0.0, 0
        for prompt in prompts:
            scores = self._run(prompt, look).log_softmax(-1)
            asked = torch.tensor(prompt.asked, device=self._device)
            told = torch.tensor([prompt.tokens[at + 1] for at in prompt.asked], device=self._device)
            total += float(scores[asked, told].sum())
            number += len(prompt.asked)
        return total / number

    def _run(self, prompt: Prompt, look: Look | None) -> torch.Tensor:
        self._look = look
        with torch.no_grad():
            tokens = torch.tensor([prompt.tokens], device=self._device)
            logits: torch.Tensor = self._model(tokens, use_cache=False).logits[0]
        return logits

    def _attend(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float, **others: Any
    ) -> tuple[torch.Tensor, None]:
        """Hugging Face calls it for its own: query [1, heads, tokens, size], key and value [1, KV heads, …]."""
        seen = None
        if self._look is not None:
            seen = self._look(module.layer_idx, query[0], key[0], scaling)
        shared = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        if seen is not None:
            seen = seen.repeat_interleave(shared, 0)[None]
        answer = scaled_dot_product_attention(query, key, value, seen, scale=scaling, is_causal=seen is None)
        return answer.transpose(1, 2).contiguous(), None


def _watching(rows: torch.Tensor, wanted: torch.Tensor, found: dict[int, list[torch.Tensor]]) -> Look:
    """Leaves attention as it is and notes what each KV head pays to the wanted places."""

    def look(layer: int, query: torch.Tensor, key: torch.Tensor, scale: float) -> None:
        heads, tokens = key.shape[0], key.shape[1]
        asked = query[:, rows].unflatten(0, (heads, -1))
        weights = asked @ key[:, None].transpose(-1, -2) * scale
        later = torch.arange(tokens, device=rows.device)[None] > rows[:, None]
        paid = (weights.masked_fill(later, float("-inf")).softmax(-1) * wanted).sum(-1)
        found.setdefault(layer, []).append(paid.mean(-1).amax(1).cpu())

    return look


def _narrowed(chosen: Chosen, sink: int, window: int, device: str) -> Look:
    """Causal attention, in which heads that are not chosen see sinks and window only."""

    def look(layer: int, query: torch.Tensor, key: torch.Tensor, scale: float) -> torch.Tensor:
        at = torch.arange(key.shape[1], device=device)
        causal = at[None] <= at[:, None]
        near = causal & ((at[None] < sink) | (at[None] > at[:, None] - window - 1))
        everything = torch.tensor([head in chosen.get(layer, ()) for head in range(key.shape[0])], device=device)
        return torch.where(everything[:, None, None], causal, near)

    return look
