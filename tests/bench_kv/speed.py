"""What a long context costs: time of a decode step and of the prefill, blocks held, requests at once. Weights do not
matter to it, so it runs a model of its own with random ones."""

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench_kv.cases import Case
from tests.vllm.engine import BLOCK, Running, engine

SINK, WINDOW, CHUNK = 32, 1024, 2048
FULL = Case("full", "full")
SINK_WINDOW = Case("sink_window", "sink_window", {"sink": SINK, "window": WINDOW})
LAYERS, KV_HEADS, SIZE = 8, 4, 64
BLOCK_BYTES = BLOCK * LAYERS * KV_HEADS * SIZE * 2 * 4
_DECODED = 128
_LONGEST = 65_536 + 4096


@dataclass(frozen=True)
class Cost:
    """Of one request with `context` tokens: milliseconds per decoded token, seconds of prefill, blocks held. Times are
    the processor's, on one core: what else runs on the machine disturbs them less than a clock."""

    name: str
    context: int
    decode_ms: float
    prefill_s: float
    blocks: int


def model(folder: Path) -> Path:
    """A configuration; vLLM makes up the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 1024,
        "hidden_size": KV_HEADS * SIZE,
        "intermediate_size": 2 * KV_HEADS * SIZE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": KV_HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": SIZE,
        "max_position_embeddings": _LONGEST,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(told))
    return folder


def one(case: Case, folder: Path, context: int) -> Cost:
    """One request alone, step by step."""
    with _engine(case, folder, context + _DECODED + BLOCK, pool=-(-context // BLOCK) + 160) as running:
        engine = running.llm.llm_engine
        engine.add_request("one", {"prompt_token_ids": _tokens(context)}, _params(_DECODED))
        began, steps, said = time.process_time(), list[float](), 0
        prefill, held = 0.0, 0
        while engine.has_unfinished_requests():
            start = time.process_time()
            for output in engine.step():
                said = len(output.outputs[0].token_ids)
            if said == 1 and not prefill:
                prefill = time.process_time() - began
            elif said > 1:
                steps.append(time.process_time() - start)
            held = running.held() or held
    return Cost(case.name, context, median(steps[4:]) * 1000, prefill, held)


def recomputed(folder: Path) -> Cost:
    """Window recomputation, StreamingLLM's strongest baseline: every token reads its last SINK + WINDOW anew."""
    with _engine(FULL, folder, SINK + WINDOW + BLOCK, pool=160, enable_prefix_caching=False) as running:
        times = []
        for _ in range(7):
            start = time.process_time()
            running.generate([_tokens(SINK + WINDOW)], _params(1))
            times.append(time.process_time() - start)
    return Cost("recompute", 0, median(times[2:]) * 1000, 0.0, (SINK + WINDOW) // BLOCK)


def together(case: Case, folder: Path, context: int, requests: int, pool: int) -> tuple[float, int]:
    """(tokens said per second, most requests at once) of many requests in a pool that cannot hold them all."""
    with _engine(case, folder, context + 72, pool=pool, max_num_seqs=requests) as running:
        engine = running.llm.llm_engine
        for at in range(requests):
            engine.add_request(str(at), {"prompt_token_ids": _tokens(context, at)}, _params(64))
        start, most = time.perf_counter(), 0
        while engine.has_unfinished_requests():
            engine.step()
            most = max(most, len(running.scheduler.running))
        return 64 * requests / (time.perf_counter() - start), most


def _engine(case: Case, folder: Path, longest: int, pool: int, **options: Any) -> Any:
    return engine(
        folder,
        case.policy,
        case.knobs,
        max_model_len=longest,
        num_gpu_blocks_override=pool,
        max_num_batched_tokens=CHUNK,
        load_format="dummy",
        skip_tokenizer_init=True,
        **options,
    )


def _params(tokens: int) -> Any:
    from vllm import SamplingParams

    return SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False)


def _tokens(number: int, seed: int = 0) -> list[int]:
    chance = random.Random(seed)
    return [chance.randrange(2, 1024) for _ in range(number)]


__all__ = ["Cost", "Running", "model", "one", "recomputed", "together"]
