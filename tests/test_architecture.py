"""The law of the house: sizes, complete tables, no blind except without a reason. Layers are import-linter's part."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("gateway/**/*.py"), *ROOT.glob("workers/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 50
JUNK_DRAWERS = {"utils", "helpers", "common", "misc", "util", "helper"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    """A readable test id."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {each.partition(".")[0] for each in plain | {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}}


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name)
def test_a_file_opens_with_its_rule(path: Path) -> None:
    """Every file that holds code says first what it is for."""
    tree = ast.parse(path.read_text())

    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_file_is_too_long(path: Path) -> None:
    """At most 300 lines."""
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_function_is_too_long(path: Path) -> None:
    """At most 50 lines, but for the few that only list routes or parts and say so."""
    long = [f.name for f in functions(path) if f.end_lineno and f.end_lineno - f.lineno >= LONGEST_FUNCTION]
    allowed = {"open_services"} if path.parent.name == "wiring" else set()  # a list of parts, with no branch in it

    assert set(long) <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_broad_except_gives_its_reason(path: Path) -> None:
    """`except Exception` stands only beside a comment that says why."""
    broad = [line for line in path.read_text().splitlines() if re.search(r"except\s*(:|\(?(Base)?Exception)", line)]

    assert all(re.search(r"# \S+ \S+", line) for line in broad)


def test_there_is_no_junk_drawer() -> None:
    """No module is named after not knowing what it holds."""
    assert not JUNK_DRAWERS & {path.stem for path in SOURCES + TESTS}


@pytest.mark.parametrize("family", ["gateway.memory.policies", "gateway.memory.embedders", "workers.kv.policies"])
def test_a_family_table_names_what_exists(family: str) -> None:
    """Every line of a table can be imported."""
    for target in import_module(family).TABLE.values():
        module, _, attribute = target.partition(":")

        assert hasattr(import_module(module), attribute)


_SHARED = {"__init__", "base", "pieces", "asking", "extracts", "fading", "lsh"}


def test_every_policy_file_stands_in_the_table() -> None:
    """A policy that is not in the table cannot be chosen, so it is dead code."""
    folder = ROOT / "gateway/memory/policies"
    table = {
        target.split(":")[0].rpartition(".")[2] for target in import_module("gateway.memory.policies").TABLE.values()
    }

    rooms = {p.parent.name for p in folder.glob("*/__init__.py")}

    # What policies share and no policy is.
    assert {p.stem for p in folder.glob("*.py")} - table == _SHARED
    assert rooms - table == {"ranker", "changes", "times"}


def test_every_kv_policy_file_stands_in_the_table() -> None:
    """One that is not could not be started, nor chosen by a request."""
    table = {target.split(":")[0].rpartition(".")[2] for target in import_module("workers.kv.policies").TABLE.values()}

    assert {p.stem for p in (ROOT / "workers/kv/policies").glob("*.py")} - table == {"__init__", "base"}


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("vllm", ["workers/vllm_plugin"]),
        ("torch", ["workers/kv", "workers/vllm_plugin", "workers/calibrate"]),
        ("transformers", ["workers/calibrate"]),
    ],
)
def test_an_engine_s_packages_stay_in_their_rooms(package: str, rooms: list[str]) -> None:
    """Everything else runs where they are not installed."""
    users = [path for path in SOURCES if package in imported(path)]

    assert users
    assert [name(path) for path in users if not any(path.is_relative_to(ROOT / room) for room in rooms)] == []


def test_what_a_kv_policy_decides_needs_no_tensor() -> None:
    """Values in, values out: a policy can be asked in any process."""
    tensors = {"compaction", "choosing", "shelf", "turning"}
    plain = [path for path in ROOT.glob("workers/kv/**/*.py") if path.stem not in tensors]

    assert [name(path) for path in plain if {"torch", "numpy"} & imported(path)] == []


@pytest.mark.parametrize("path", [p for p in TESTS if p.name.startswith("test_")], ids=name)
def test_every_test_says_its_behaviour(path: Path) -> None:
    """A test's docstring is its claim."""
    assert [f.name for f in functions(path) if f.name.startswith("test_") and not ast.get_docstring(f)] == []


def test_turn_is_short_enough_to_be_read_first() -> None:
    """The story fits on three screens."""
    assert len((ROOT / "gateway/turn.py").read_text().splitlines()) <= 150
