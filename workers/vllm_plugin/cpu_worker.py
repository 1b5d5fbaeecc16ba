"""vLLM's CPU worker under KV policies; apart from the backend, since vLLM's worker loads libraries when imported."""

from vllm.v1.worker.cpu_worker import CPUWorker

from workers.vllm_plugin.worker import Policed


class PolicyCpuWorker(Policed, CPUWorker):
    """--worker-cls on a CPU."""
