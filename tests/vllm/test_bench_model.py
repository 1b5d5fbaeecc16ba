"""The benchmark's small model: that it is a Llama, how it learns, and how the check reads a stream. Needs torch and
transformers, and no engine."""

import time
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.bench_kv.model import tokenizer
from tests.bench_kv.model.check import BLOCK, Keep, Stream, fresh_windows, recalled, surprise
from tests.bench_kv.model.descent import orthogonal
from tests.bench_kv.model.lessons import Lessons
from tests.bench_kv.model.network import Shape, Weights, fresh, read, save
from tests.bench_kv.model.tasks import Passkeys
from tests.bench_kv.model.train import trained

EVERYTHING = Keep("all", 0, 1 << 40, False)
NEAR = 1e-4


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """A vocabulary of the benchmark's kind."""
    return tokenizer.trained(["The pass key is hidden in text that says nothing. What is the pass key? Remember it."])


def small(layers: int) -> Shape:
    """Fewer layers, narrower ones."""
    return Shape(tokenizer.VOCABULARY, layers=layers, hidden=128, inner=384, heads=4, kv_heads=2)


def loaded(layers: int, folder: Path) -> tuple[Weights, torch.nn.Module]:
    """Weights that nobody trained, and what transformers makes of them."""
    torch.manual_seed(1)
    weights = fresh(small(layers))
    save(weights, small(layers), folder, 0, 1, 2)
    return weights, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def tokens(length: int, batch: int = 1) -> torch.Tensor:
    """Any tokens, with BOS in front."""
    drawn = torch.randint(7, tokenizer.VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(2))
    drawn[:, 0] = 0
    return drawn


def test_transformers_reads_the_same_network(tmp_path: Path) -> None:
    """What is trained here is a Llama, to rounding."""
    weights, model = loaded(3, tmp_path)
    asked = tokens(300, batch=2)

    assert (model(asked).logits - read(weights, small(3), asked)[0]).abs().max() < NEAR


def test_loudness_is_what_heads_add(tmp_path: Path) -> None:
    """In one layer: the length of each head's own addition, over the state's before."""
    weights, _ = loaded(1, tmp_path)
    mute = {**weights, "model.layers.0.self_attn.o_proj.weight": torch.zeros(128, 128)}
    state = weights["model.embed_tokens.weight"][0]
    # BOS sees itself only: each head adds what it makes of its value
    value = weights["model.layers.0.self_attn.v_proj.weight"] @ (state / (state.square().mean() + 1e-5).sqrt())
    out = weights["model.layers.0.self_attn.o_proj.weight"]
    added = [out[:, 32 * head : 32 * head + 32] @ value.view(2, 32)[head // 2] for head in range(4)]

    assert read(mute, small(1), tokens(50))[1].max() < NEAR
    assert (
        read(weights, small(1), tokens(1))[1][0, 0] - sum(part.norm() / state.norm() for part in added)
    ).abs() < 1e-3


def test_transformers_reads_the_same_tokens(words: Tokenizer, tmp_path: Path) -> None:
    """A prompt starts with BOS, a chat with the template, and both have the tokens of the training."""
    tokenizer.save(words, tmp_path, 512)
    read = AutoTokenizer.from_pretrained(tmp_path)
    chat = read.apply_chat_template([{"role": "user", "content": "key 4"}], add_generation_prompt=True, tokenize=False)

    assert read.encode("The pass key is 4 8.") == words.encode("The pass key is 4 8.").ids
    assert chat == "<s><|user|>key 4<|end|><|assistant|>"


def test_an_orthogonal_update_moves_all_directions_alike() -> None:
    """All singular values are near one, whatever they were, tall or wide."""
    for shape in ((3, 64, 128), (3, 384, 128)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(3))))

        assert values.min() > 0.3
        assert values.max() < 1.5


def test_training_can_be_repeated(words: Tokenizer) -> None:
    """The same seed gives the same weights, and they are not those it started from."""

    def run() -> Weights:
        lessons = Lessons(range(7, 900), lambda said: words.encode(said, add_special_tokens=False).ids, 0, 1)
        return trained(lessons, small(1), 3, 5.0, 1, lambda said: None)

    first, again = run(), run()
    torch.manual_seed(1)
    start = fresh(small(1))

    assert all(torch.equal(first[name], again[name]) for name in start)
    assert not any(torch.equal(first[name], start[name]) for name in start)


def test_training_ends_in_time(words: Tokenizer) -> None:
    """A slow machine takes fewer of the million steps."""
    lessons = Lessons(range(7, 900), lambda said: words.encode(said, add_special_tokens=False).ids, 0, 1)
    began = time.monotonic()

    trained(lessons, small(1), 1_000_000, 0.02, 1, lambda said: None)

    assert time.monotonic() - began < 60


def test_a_stream_that_forgets_nothing_is_one_long_prompt(tmp_path: Path) -> None:
    """Blocks are only how it is read."""
    _, model = loaded(3, tmp_path)
    read = tokens(200)

    assert (Stream(model, EVERYTHING).read(read) - model(read).logits.log_softmax(-1)).abs().max() < NEAR


def test_only_distances_count(tmp_path: Path) -> None:
    """Without sinks, a window says the same wherever its keys are turned to."""
    _, model = loaded(3, tmp_path)
    read = tokens(400)
    stays, moves = (Stream(model, Keep("window", 0, 64, moving)).read(read) for moving in (False, True))

    assert (stays - moves).abs().max() < NEAR


def test_what_left_the_window_is_not_seen(tmp_path: Path) -> None:
    """With one layer, nothing but the sinks and the window reaches a prediction."""
    _, model = loaded(1, tmp_path)
    read, other = tokens(320), tokens(320)
    other[:, BLOCK : 320 - 3 * BLOCK] = 7
    keep = Keep("window", BLOCK, 2 * BLOCK, True)
    one, two = (Stream(model, keep).read(text)[:, -BLOCK:] for text in (read, other))

    assert (one - two).abs().max() < NEAR
    assert (one - Stream(model, EVERYTHING).read(read)[:, -BLOCK:]).abs().max() > NEAR


@pytest.mark.parametrize("moving", [False, True])
def test_what_is_fetched_is_seen_again(tmp_path: Path, moving: bool) -> None:
    """One layer's keys do not depend on what was kept before: with all of them back, all is as if nothing had left."""
    _, model = loaded(1, tmp_path)
    read = tokens(320)
    stream = Stream(model, Keep("window", BLOCK, 2 * BLOCK, moving), range(1, 10))
    stream.read(read[:, :-BLOCK])
    stream.fetch()

    assert (stream.step(read[:, -BLOCK:]) - Stream(model, EVERYTHING).read(read)[:, -BLOCK:]).abs().max() < NEAR


def test_surprise_is_told_of_every_token_but_the_first(tmp_path: Path) -> None:
    """Read as a stream, or in windows that start anew; within the first window both are the same."""
    _, model = loaded(2, tmp_path)
    text = tokens(1200)[0].tolist()
    whole, anew, behind = surprise(model, EVERYTHING, text), *(fresh_windows(model, text, n) for n in (0, 256))

    assert len(whole) == len(anew) == len(behind) == 1199
    assert (whole[:255] - anew[:255]).abs().max() < NEAR
    assert (whole[:255] - behind[:255]).abs().max() < NEAR


def test_a_model_that_learned_nothing_recalls_nothing(words: Tokenizer, tmp_path: Path) -> None:
    """Answers are compared digit for digit."""
    _, model = loaded(2, tmp_path)
    passkeys = Passkeys(lambda said: words.encode(said, add_special_tokens=False).ids, 0)
    prompts = [passkeys.hidden([900] * 400, key, 320, 40) for key in ("48159", "26037")]

    assert recalled(model, Keep("window", BLOCK, 2 * BLOCK, True), prompts, fetch=True) == 0
