"""vLLM in this process, under a policy, with everything that it reads on record."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vllm.quiet import device
from workers.kv.choice import Choice, chosen
from workers.kv.policies.base import Policy

BLOCK = 32


@dataclass
class Running:
    """`reads` grows as the engine works: who read which blocks, piece by piece."""

    llm: Any
    choice: Choice
    trained: int = 0
    reads: list[Any] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        """The engine's own, in blocks."""
        return self.choice.policy(BLOCK)

    def generate(self, prompts: Sequence[Sequence[int]], params: Any) -> list[Any]:
        """vLLM's outputs, in order."""
        asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        outputs: list[Any] = self.llm.generate(asked, params, use_tqdm=False)
        return outputs

    @property
    def scheduler(self) -> Any:
        """vLLM's own, with ours around it."""
        return self.llm.llm_engine.engine_core.engine_core.scheduler

    def held(self) -> int:
        """Blocks of the pool that requests hold now."""
        pool = self.scheduler.kv_cache_manager.block_pool
        return int(pool.num_gpu_blocks - 1 - pool.get_num_free_blocks())

    def held_by(self, prompt: Sequence[int]) -> int:
        """The blocks that one request holds once its prompt is read, when it is alone."""
        from vllm import SamplingParams

        engine, most = self.llm.llm_engine, 0
        params = SamplingParams(temperature=0, max_tokens=3, ignore_eos=True)
        engine.add_request("alone", {"prompt_token_ids": list(prompt)}, params)
        while engine.has_unfinished_requests():
            engine.step()
            most = self.held() or most
        return most

    @property
    def block_bytes(self) -> int:
        """What a block of the pool takes, over all layers. Groups of layers lie over each other: a block is one's."""
        manager = self.scheduler.kv_cache_manager
        tensors = manager.kv_cache_config.kv_cache_tensors
        return int(max(tensor.size for tensor in tensors) // manager.block_pool.num_gpu_blocks)

    def metric(self, name: str) -> float:
        """A counter of vLLM's own, such as vllm:num_preemptions."""
        return sum(float(metric.value) for metric in self.llm.get_metrics() if metric.name == name)

    def read_by(self, request_id: str) -> list[tuple[int, int, Any]]:
        """(start, stop, blocks) of every piece of a request, in the order in which they were read."""
        from workers.vllm_plugin.board import Read

        return [
            (read.start, read.stop, read.reads)
            for read in self.reads
            if isinstance(read, Read) and read.request.rsplit("-", 1)[0] == request_id
        ]

    def back_to(self, request_id: str) -> list[Any]:
        """What a request had back, piece by piece and layer by layer."""
        from workers.vllm_plugin.board import Back

        return [back for back in self.reads if isinstance(back, Back) and back.request.rsplit("-", 1)[0] == request_id]


@contextmanager
def engine(model: Path, policy: str, knobs: dict[str, Any], trained: int = 0, **options: Any) -> Iterator[Running]:
    """An engine of blocks of 32 tokens, as the launcher would start it. `trained`: where the model's context ends."""
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory

    from workers.launch import engine_arguments
    from workers.vllm_plugin.board import BOARD

    choice = chosen(policy, knobs)
    given = {"max_model_len": 4096, "max_num_batched_tokens": 192, "max_num_seqs": 8, "enforce_eager": True, **options}
    running = Running(None, choice, trained)
    try:
        running.llm = LLM(
            model=str(model),
            dtype="float32",
            block_size=BLOCK,
            disable_log_stats=False,
            **engine_arguments(choice, trained),
            **device(),
            **given,
        )
        BOARD.watch = running.reads.append
        yield running
    finally:
        BOARD.watch = None
        running.llm = None
        gc.collect()
        cleanup_dist_env_and_memory()
