"""Keys read as if they stood elsewhere: turned by RoPE's angle for the tokens between. Tensors only."""

import torch


def turned(keys: torch.Tensor, by: torch.Tensor, table: torch.Tensor, neox: bool) -> torch.Tensor:
    """Keys [n, tokens, heads, size] at `by` [n] tokens from where they were written. `table` [positions, 2 × half]: cos
    and sin of RoPE's angles, as vLLM keeps them; `neox`: halves are paired, else neighbours."""
    rows = table[by.abs()].to(torch.float32)
    cosine, sine = (part[:, None, None, :] for part in rows.chunk(2, dim=-1))
    sine = sine * by.sign()[:, None, None, None]
    size = table.shape[-1]
    turning, rest = keys[..., :size].to(torch.float32), keys[..., size:]
    if neox:
        first, second = turning.chunk(2, dim=-1)
    else:
        first, second = turning[..., ::2], turning[..., 1::2]
    left, right = first * cosine - second * sine, second * cosine + first * sine
    joined = torch.cat((left, right), -1) if neox else torch.stack((left, right), -1).flatten(-2)
    return torch.cat((joined.to(keys.dtype), rest), -1)
