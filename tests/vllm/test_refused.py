"""What is refused at the start: each with the reason and a setting that works, before a process of vLLM's is started
where that can be known. vLLM's own parser and configuration are asked; one case runs the whole launcher."""

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.vllm.server import command, environment
from workers.kv.choice import Engine
from workers.kv.errors import PolicyRefused
from workers.options import read

pytestmark = pytest.mark.timeout(400)

WINDOW = "--kv sink_window --sink 32 --window 64"
SCORED = "--kv surprisal --sink 32 --window 64 --budget 64"


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """The launcher tells vLLM some things by environment variables, and vLLM takes a signal for itself."""
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    os.environ.clear()
    os.environ.update(before)


def ready(model: Path, options: str) -> tuple[Any, Engine]:
    """vLLM's arguments and what is known of the engine, as the launcher would start it."""
    from workers.vllm_plugin.serving import ready

    return ready(read(["--model", str(model), "--dtype=float32", "--enforce-eager", *options.split()]))


def changed(model: Path, at: Path, **config: Any) -> Path:
    """The same model with another configuration; there are no weights, for none are read."""
    shutil.copytree(model, at, ignore=shutil.ignore_patterns("*.safetensors"))
    told = json.loads((model / "config.json").read_text())
    (at / "config.json").write_text(json.dumps({**told, **config}))
    return at


def test_what_the_policy_needs_is_told(tiny: Path) -> None:
    """Beside what the user says: classes, configuration, usage that tells what was cached, this device's block."""
    args, engine = ready(tiny, f'{WINDOW} --port 1234 --additional-config {{"theirs":1}}')

    assert args.port == 1234
    assert args.scheduler_cls.startswith("workers.")
    assert args.worker_cls.startswith("workers.")
    assert args.logits_processors == ["workers.vllm_plugin.requests:KvArguments"]
    assert args.additional_config["theirs"] == 1
    assert args.additional_config["mneme_kv"] == {"policy": "sink_window", "knobs": {"sink": 32, "window": 64}}
    assert args.enable_prompt_tokens_details
    assert (engine.block, engine.longest, engine.trained) == (32, 8192, 8192)


def test_a_users_own_settings_stay(tiny: Path) -> None:
    """Where the policy does not mind."""
    args, engine = ready(tiny, f"{WINDOW} --block-size 64 --no-enable-prompt-tokens-details --no-enable-prefix-caching")

    assert engine.block == 64
    assert not args.enable_prompt_tokens_details
    assert args.enable_prefix_caching is False


def test_the_plug_ins_that_were_allowed_stay_so(tiny: Path) -> None:
    """Ours is added to the list; without a list there is one of all that vLLM would have loaded anyway."""
    os.environ["VLLM_PLUGINS"] = "theirs"
    ready(tiny, WINDOW)

    assert os.environ["VLLM_PLUGINS"] == "theirs,mneme_kv"


@pytest.mark.parametrize("options", [SCORED, "--kv block_recall --sink 32 --window 64 --budget 64"])
def test_the_prefix_cache_is_off_where_kv_depends_on_history(tiny: Path, options: str) -> None:
    """Without being told."""
    assert ready(tiny, options)[0].enable_prefix_caching is False


def test_streams_may_be_longer_than_the_training(tiny: Path) -> None:
    """The table of positions is made so long; the trained context stays what the policy is told."""
    args, engine = ready(tiny, f'{WINDOW} --max-model-len 81920 --hf-overrides {{"initializer_range":0.5}}')

    assert args.hf_overrides == {"initializer_range": 0.5, "max_position_embeddings": 81920}
    assert (engine.longest, engine.trained) == (81920, 8192)


def test_the_trained_context_may_be_less_than_the_model_says(tiny: Path) -> None:
    """And then the policy keeps within it."""
    assert ready(tiny, f"{WINDOW} --trained 512")[1].trained == 512


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--kv sink_window --sink 32 --window 60", "window 60 is not a multiple of the block of 32 tokens; 32 or 64"),
        ("--kv sink_window --sink 32 --window 96 --block-size 64", "64 or 128 would be"),
        (f"{WINDOW} --num-gpu-blocks-override 6 --max-num-batched-tokens 64", "of at most 64 tokens together would"),
        (f"{WINDOW} --max-num-batched-tokens 512 --num-gpu-blocks-override 9", "smaller --max-num-batched-tokens"),
        ("--kv full --num-gpu-blocks-override 64", "a context of at most 2016 tokens would"),
        ("--kv full --max-model-len 16384", "--max-model-len 8192 would work"),
        ("--kv sink_window --sink 128 --window 8192 --max-model-len 16384", "may be at most 8128"),
        (f"{SCORED} --enable-prefix-caching", "leave --enable-prefix-caching out"),
        (f"{WINDOW} --pipeline-parallel-size 2", "--tensor-parallel-size"),
        (f"{WINDOW} --data-parallel-size 2", "start one worker for each"),
        (f"{WINDOW} --api-server-count 2", "start one worker for each"),
        (f"{WINDOW} --disable-hybrid-kv-cache-manager", "leave it out"),
        (f"{WINDOW} --kv-transfer-config {{\"kv_connector\":\"ExampleConnector\",\"kv_role\":\"kv_both\"}}", "leave"),
        (f"{WINDOW} --speculative-config {{\"method\":\"ngram\",\"num_speculative_tokens\":2}}", "speculative"),
        (f"{WINDOW} --worker-cls their.Worker", "leave them out"),
        (f"{WINDOW} --scheduler-cls their.Scheduler", "leave them out"),
        (f"{WINDOW} their-model", "the model is named by --model"),
        (f"{WINDOW} --max-num-seqs 0", "vLLM refuses: "),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_starts(tiny: Path, options: str, reason: str) -> None:
    """With a setting that does."""
    with pytest.raises(PolicyRefused) as refused:
        ready(tiny, options)

    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("heads", "options", "reason"),
    [
        ({"4": [0]}, "", "layers 0 to 3 with KV heads 0 to 1"),
        ({"0": [2]}, "", "layers 0 to 3 with KV heads 0 to 1"),
        ({"0": [1]}, "--tensor-parallel-size 2", "--tensor-parallel-size 1 would work"),
    ],
)
def test_lists_of_heads_must_be_the_models(
    tiny: Path, tmp_path: Path, heads: dict[str, list[int]], options: str, reason: str
) -> None:
    """Its layers, its KV heads, all of them in one worker."""
    file = tmp_path / "heads.json"
    file.write_text(json.dumps({"layers": heads}))

    with pytest.raises(PolicyRefused, match=reason):
        ready(tiny, f"--kv duo --sink 32 --window 64 --heads {file} {options}")


def test_rotary_positions_that_do_not_stretch_end_with_the_training(tiny: Path, tmp_path: Path) -> None:
    """Whose angles depend on how long the table is."""
    yarn = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 2048}
    model = changed(tiny, tmp_path / "yarn", rope_parameters=yarn)

    with pytest.raises(PolicyRefused, match=r"yarn.*--max-model-len 8192 would work"):
        ready(model, f"{WINDOW} --max-model-len 16384")


def test_a_model_that_vllm_knows_better_is_refused_too(tiny: Path, tmp_path: Path) -> None:
    """What its configuration becomes in vLLM is looked at again, as for a model that lies on a hub."""
    model = changed(tiny, tmp_path / "windows", sliding_window=64)

    with pytest.raises(PolicyRefused, match=r"sliding windows of 64.*without --kv"):
        ready(model, WINDOW)


def test_a_request_over_the_pool_is_refused(tiny: Path) -> None:
    """In the API process, as what becomes a 400."""
    from vllm.exceptions import VLLMValidationError

    from workers.vllm_plugin.requests import Door, KvArguments

    asked = read(["--model", str(tiny), *WINDOW.split()])
    Door.own, Door.engine = asked.choice, Engine(block=32, longest=4096, chunk=64, pool=16)
    try:
        KvArguments.validate_params(SimpleNamespace(extra_args={"kv_window": 96}))
        with pytest.raises(VLLMValidationError, match="the pool has 15"):
            KvArguments.validate_params(SimpleNamespace(extra_args={"kv_window": 960}))
        with pytest.raises(VLLMValidationError, match="full needs 128 blocks"):
            KvArguments.validate_params(SimpleNamespace(extra_args={"kv_policy": "full"}))
    finally:
        Door.own = Door.engine = None


def test_vllms_own_extra_arguments_are_not_ours() -> None:
    """Those of its connectors begin alike."""
    from workers.vllm_plugin.requests import Door, KvArguments

    Door.own = Door.engine = None

    KvArguments.validate_params(SimpleNamespace(extra_args={"kv_transfer_params": {"remote": 1}}))
    KvArguments.validate_params(SimpleNamespace(extra_args=None))


@pytest.mark.slow
def test_what_fails_in_a_process_of_vllms_is_told_in_one_line(tiny: Path) -> None:
    """A pool that turns out too small for a request: status 1, and the last word is why, with what would help."""
    options = f"{WINDOW} --port 0 --kv-cache-memory-bytes 200000 --max-num-batched-tokens 128"
    told = environment()
    del told["VLLM_CPU_KVCACHE_SPACE"]

    run = subprocess.run(command(tiny, *options.split()), env=told, capture_output=True, text=True, timeout=300)

    assert run.returncode == 1
    last = next(line for line in reversed(run.stderr.splitlines()) if line.startswith("python -m workers serve: "))
    assert "vLLM did not start" in last
    assert "Under sink_window a request holds up to 8 blocks of 32 tokens" in last


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # vLLM leaves the socket that it could not bind
def test_a_port_that_is_taken_is_told_in_one_line(tiny: Path) -> None:
    """Before a process is started."""
    from workers.vllm_plugin.serving import serve

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        line = f"--model {tiny} --dtype=float32 --enforce-eager {WINDOW} --host 127.0.0.1"

        with pytest.raises(PolicyRefused, match=r"vLLM cannot serve: .* in use"):
            serve(read([*line.split(), f"--port={taken.getsockname()[1]}"]))
        gc.collect()
