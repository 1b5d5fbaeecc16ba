"""vLLM's GPU worker under KV policies; apart from the backends, since vLLM's worker takes hold of the device."""

from vllm.v1.worker.gpu_worker import Worker

from workers.vllm_plugin.worker import Policed


class PolicyGpuWorker(Policed, Worker):
    """--worker-cls on a GPU; needs vLLM's first model runner, which the launcher chooses."""
