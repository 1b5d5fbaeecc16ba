"""Which models a KV policy can serve, by their configurations."""

from pathlib import Path
from typing import Any

import pytest

from workers.kv.errors import PolicyRefused
from workers.models import check, check_beyond, check_heads, read


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama"},
        {"model_type": "qwen2", "sliding_window": 131072, "use_sliding_window": False},
        {"model_type": "qwen3", "sliding_window": None, "layer_types": ["full_attention"] * 4},
        {"model_type": "minicpm3", "kv_lora_rank": 256},
        {"model_type": "qwen2_vl", "text_config": {"model_type": "qwen2", "sliding_window": None}},
        {"model_type": "falcon", "alibi": False},
    ],
)
def test_plain_full_attention_passes(config: dict[str, Any]) -> None:
    """Whatever else the configuration mentions and does not use."""
    check("M", config)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"sliding_window": 4096}, "sliding windows of 4096"),
        ({"sliding_window": 4096, "use_sliding_window": True}, "sliding windows of 4096"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "sliding_attention"),
        ({"text_config": {"layer_types": ["chunked_attention"]}}, "chunked_attention"),
        ({"attention_chunk_size": 8192}, "chunks of 8192"),
        ({"mamba_d_state": 16}, "recurrent layers"),
        ({"layer_types": ["mamba", "attention"]}, "mamba"),
        ({"kv_lora_rank": 512, "model_type": "deepseek_v3"}, "MLA"),
        ({"is_encoder_decoder": True}, "encoder"),
        ({"alibi": True}, "ALiBi"),
        ({"model_type": "bloom"}, "ALiBi"),
        ({"attn_config": {"alibi": True}}, "ALiBi"),
    ],
)
def test_other_attention_is_refused(config: dict[str, Any], reason: str) -> None:
    """With the reason, and how the model can be served."""
    with pytest.raises(PolicyRefused, match=reason) as refused:
        check("some/model", config)

    assert str(refused.value).startswith("some/model ")
    assert "without --kv" in str(refused.value)


@pytest.mark.parametrize("rope", ["default", "linear", "llama3"])
def test_a_table_of_positions_can_be_made_longer(rope: str) -> None:
    """Where its angles do not depend on its length."""
    check_beyond("M", rope, 8192, 100_000)


@pytest.mark.parametrize("rope", ["yarn", "longrope", "dynamic", ""])
def test_other_positions_end_with_the_training(rope: str) -> None:
    """Refused, with the length that works."""
    with pytest.raises(PolicyRefused, match="--max-model-len 8192 would work"):
        check_beyond("M", rope, 8192, 100_000)


def test_heads_of_this_model_pass() -> None:
    """Any layer, any KV head that it has."""
    check_heads({0: (0, 1), 3: (1,)}, layers=4, kv_heads=2)


@pytest.mark.parametrize("heads", [{4: (0,)}, {0: (2,)}, {-1: (0,)}, {0: (-1,)}])
def test_heads_of_another_model_are_refused(heads: dict[int, tuple[int, ...]]) -> None:
    """With what this one has."""
    with pytest.raises(PolicyRefused, match="layers 0 to 3 with KV heads 0 to 1"):
        check_heads(heads, layers=4, kv_heads=2)


@pytest.mark.parametrize("text", [None, "", "[]", "no JSON"])
def test_a_model_without_a_readable_configuration_is_left_to_vllm(text: str | None, tmp_path: Path) -> None:
    """None, as for a name on a hub."""
    if text is not None:
        (tmp_path / "config.json").write_text(text)

    assert read(tmp_path) is None
