"""Which absent blocks a query gets back, by score, for each KV head. Tensors only; knows neither policy nor engine.

A block's score is the largest share of attention that any query token of any head in the group would give it, if absent
blocks were all there is. Queries and keys come without their positions: LiveVLM (arXiv 2505.15269) finds positions to
hurt here, and beyond the trained context they say nothing. A mean over query tokens would drown the few that ask.
"""

import itertools

import torch

_BY_SCORE = 0.5  # of the budget, for select=coverage; LiveVLM leaves the rest to time


def scored(queries: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """`queries` [tokens, KV heads, group, size], `marks` [blocks, keys, KV heads, size] → float32 [KV heads,
    blocks], log of the share."""
    scale = queries.shape[-1] ** -0.5
    logits = torch.einsum("thgd,nkhd->htgnk", queries.to(torch.float32), marks.to(torch.float32)) * scale
    return logits.logsumexp(-1).log_softmax(-1).amax((1, 2))


def choose(scores: torch.Tensor, budget: int, select: str, mass: float) -> torch.Tensor:
    """`scores` [heads, blocks] → int64 [heads, chosen], ascending: as many for every head, at most `budget`.

    topk: the best. mass: the fewest whose share of softmax(scores) reaches `mass` in every head (V-Rex's WiCSum, arXiv
    2512.12284). coverage: half the best, then the best of each of equal stretches of time. runs: what follows each of
    the best comes with it (EM-LLM's contiguity, arXiv 2407.09450): what was looked for may be told across two blocks.
    """
    number = min(budget, scores.shape[1])
    if select == "mass":
        shares = scores.softmax(-1).sort(-1, descending=True).values.cumsum(-1)
        short = (shares < mass).sum(-1) + 1
        number = min(number, int(short.max()))
    if select == "coverage" and number < scores.shape[1]:
        return _covering(scores, number)
    if select == "runs":
        scores = _in_runs(scores, number)
    return scores.topk(number, dim=-1).indices.sort(-1).values


def _covering(scores: torch.Tensor, number: int) -> torch.Tensor:
    total = scores.shape[1]
    best = max(1, int(number * _BY_SCORE))
    taken = scores.topk(best, dim=-1).indices
    left = scores.scatter(1, taken, float("-inf"))
    stretches = number - best
    edges = [round(at * total / stretches) for at in range(stretches + 1)] if stretches else [0]
    picks = [taken]
    for start, stop in itertools.pairwise(edges):
        pick = left[:, start:stop].argmax(-1, keepdim=True) + start
        spent = left.gather(1, pick).isinf()
        pick = torch.where(spent, left.argmax(-1, keepdim=True), pick)
        left = left.scatter(1, pick, float("-inf"))
        picks.append(pick)
    return torch.cat(picks, -1).sort(-1).values


def _in_runs(scores: torch.Tensor, number: int) -> torch.Tensor:
    """Scores by rank, with the best half of `number` and their followers above all others."""
    ranks = scores.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    best = ranks < max(1, number // 2)
    wanted = best.clone()
    wanted[:, 1:] |= best[:, :-1]
    return -(ranks + ~wanted * scores.shape[1])
