"""The pages tell what is so: every name in them exists, and everything that needs a row has one. Knows no prose."""

import ast
import asyncio
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from gateway import __version__
from gateway.cli import _banner
from gateway.logs import Json
from gateway.memory.policies import TABLE
from gateway.memory.policies.verbatim import Verbatim
from gateway.routes.admin import admin
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.visits import Visits
from tests.support.gateway import spawned_gateway

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
HOSTS = {"127.0.0.1", "localhost", "keepachangelog.com", "semver.org"}
_ATTRIBUTE = r'"((?:gen_ai|mneme|server|error)\.[a-z_.]+|http\.(?:request\.method|response\.status_code|route))"'
MACHINE = re.compile(r"(?<![\w./$~])/(?:home|root|work|tmp|mnt|opt|usr|var)\b")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name(page: Path) -> str:
    """A readable test id."""
    return str(page.relative_to(ROOT))


def page(path: str) -> str:
    """A page's text."""
    return (ROOT / path).read_text()


def section(path: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    return page(path).partition(f"## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def first_cells(text: str) -> set[str]:
    """Every `name` in the first cell of a table row."""
    return {found for row in rows(text) for found in re.findall(r"`([^`]+)`", row[0])}


def prose(text: str) -> str:
    """The page without its fenced code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)


def anchors(text: str) -> set[str]:
    """The fragments that headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tree() -> Iterator[str]:
    """Every path in the README's tree, from the root."""
    block = page("README.md").partition("```text\n")[2].partition("```")[0]
    folders: list[str] = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        entry = line.split()[0]
        yield "".join([*folders[:depth], entry])
        if entry.endswith("/"):
            folders[depth:] = [entry]


def test_one_version_everywhere() -> None:
    """The changelog's latest heading, the package and pyproject.toml agree."""
    latest = re.search(r"^## \[?(\d+\.\d+\.\d+)", page("CHANGELOG.md"), re.M)

    assert latest is not None
    assert latest[1] == __version__ == PROJECT["version"]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_resolve(path: Path) -> None:
    """Every link to a file finds it, and every fragment its heading."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text())):
        if target.startswith("https://"):
            continue
        file, _, fragment = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (fragment and fragment not in anchors(found.read_text())):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_page_names_a_machine(path: Path) -> None:
    """Neither a host other than loopback and the two conventions, nor an absolute path of somebody's disk."""
    text = path.read_text()

    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS
    assert MACHINE.findall(text) == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_named_tests_exist(path: Path) -> None:
    """A test that a page calls as witness can be run."""
    missing = [
        f"{file}::{test}"
        for file, test in re.findall(r"(tests/[\w/]+\.py)::(\w+)", path.read_text())
        if not (ROOT / file).exists() or not re.search(rf"^(async )?def {test}\(", page(file), re.M)
    ]

    assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_named_knobs_exist(path: Path) -> None:
    """Every MNEME_ name in a page is a setting."""
    named = set(re.findall(r"\bMNEME_([A-Z][A-Z_]*[A-Z])\b", path.read_text()))

    assert {knob.lower() for knob in named} <= set(Settings.model_fields)


def test_the_snippet_is_the_one_that_is_printed() -> None:
    """The README's five lines are those of the banner."""
    chosen: dict[str, Any] = {"host": "127.0.0.1", "port": 8080, "upstream": "", "keys": ""}
    printed = [line[4:] for line in _banner(Settings(**chosen), 8080).splitlines() if line.startswith("    ")]

    assert page("README.md").partition("```python\n")[2].partition("```")[0].splitlines() == printed


def test_the_tree_is_true() -> None:
    """Everything in the README's tree exists, and no page and no module or package right under gateway is missing."""
    named = set(tree())
    modules = {name(path) for path in ROOT.glob("gateway/*.py")} - {"gateway/__init__.py"}
    packages = {f"{name(path.parent)}/" for path in ROOT.glob("gateway/*/__init__.py")}

    assert [path for path in named if not (ROOT / path).exists()] == []
    assert modules | packages | {name(path) for path in PAGES} <= named


def test_every_policy_stands_in_the_readme() -> None:
    """With one row."""
    assert set(TABLE) <= first_cells(page("README.md"))


def test_every_setting_has_its_row() -> None:
    """With the default that it has."""
    told = {row[0].strip("`"): row[1] for row in rows(page("docs/settings.md")) if row[0].startswith("`MNEME_")}

    assert told == {f"MNEME_{knob.upper()}": _shown(field.default) for knob, field in Settings.model_fields.items()}


def _shown(default: object) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else "empty"


def test_every_admin_route_has_its_row() -> None:
    """Method and path, and no row for a route that is gone."""
    desk = FastAPI()
    desk.include_router(admin)
    served = {f"{method.upper()} {path}" for path, methods in desk.openapi()["paths"].items() for method in methods}
    told = {cell for cell in first_cells(page("docs/api.md")) if re.match(r"[A-Z]+ /admin", cell)}

    assert told == served


def test_every_reason_to_skip_has_its_row() -> None:
    """The words that the code can say are the words that are explained."""
    told = page("docs/operations.md").partition("## What x-mneme-skipped means")[2].partition("\n## ")[0]

    assert first_cells(told) == set(_reasons())


def _reasons() -> Iterator[str]:
    """What is handed to Tale.skip as it stands, and what Retainer.retain returns to be handed on."""
    for file in ROOT.glob("gateway/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "skip":
                yield from _words(node.args)
            if file.name == "retain.py" and isinstance(node, ast.AsyncFunctionDef) and node.name == "retain":
                yield from _words([r.value for r in ast.walk(node) if isinstance(r, ast.Return) and r.value])


def _words(nodes: list[ast.expr]) -> Iterator[str]:
    yield from (n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value)


def test_every_metric_has_its_row() -> None:
    """By the name that a scrape shows."""
    metrics = Telemetry().registry.collect()
    shown = {m.name + ("_total" if m.type == "counter" else "") for m in metrics}

    told = section("docs/observability.md", "Metrics")
    assert {cell for cell in first_cells(told) if re.fullmatch(r"(mneme|process)_\w+", cell)} == shown


def test_every_attribute_of_a_span_has_its_row() -> None:
    """Those that stand in the code, and no others."""
    files = [*ROOT.glob("gateway/*.py"), *ROOT.glob("gateway/memory/**/*.py")]
    named = {found for file in files for found in re.findall(_ATTRIBUTE, file.read_text())}

    told = first_cells(section("docs/observability.md", "Spans"))
    assert {cell for cell in told if re.fullmatch(_ATTRIBUTE, f'"{cell}"')} == named
    assert {f"{operation}_memory" for operation in ("search", "upsert", "delete")} <= told


def test_every_field_of_a_log_line_has_its_row(caplog: pytest.LogCaptureFixture) -> None:
    """Those of the line of a request that failed."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with caplog.at_level("INFO"), Visits(Telemetry(), lines=True).open("GET", "/*", {b"traceparent": trace}) as visit:
        visit.tenant = "acme"
    (line,) = caplog.records
    line.exc_info = (ValueError, ValueError(), None)

    assert first_cells(section("docs/observability.md", "Log lines")) == set(json.loads(Json().format(line)))


def test_every_dependency_has_its_row() -> None:
    """To run and to develop, the weights and the pages' scripts included; and no row for what is not used any more."""
    scripts = json.loads(page("gateway/pages/static/vendor/package.json"))["dependencies"]
    weights = re.findall(r"^([\w-]+)==", page("requirements-weights.lock"), re.M)
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"], *weights, *scripts]

    assert first_cells(page("docs/dependencies.md")) == {re.split(r"[\s<>=!~\[;]", line)[0] for line in asked}


def test_the_knobs_of_verbatim_are_told() -> None:
    """Each with its value; the ranker's weights stand in their own file."""
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(page("docs/recall.md"))}
    policy = Verbatim()
    knobs = {
        f.name: str(getattr(policy, f.name)) for f in fields(policy) if f.repr and f.name not in ("name", "weights")
    }

    assert {knob: told.get(knob) for knob in knobs} == knobs


def test_the_constants_that_are_told_are_so() -> None:
    """Every `module:NAME` in a table stands beside its value."""
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(page("docs/recall.md")) if ":_" in row[0]}
    found = {key: str(getattr(import_module(key.split(":")[0]), key.split(":")[1])) for key in told}

    assert told == found
    assert told


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_commands_for_operators_work(tmp_path: Path) -> None:
    """Every curl command of docs/api.md, one after the other, against a gateway as `make serve` starts it, but for that
    it thinks at once."""
    script = "\n".join(re.findall(r"^```bash\n(.*?)^```$", page("docs/api.md"), re.S | re.M))
    async with spawned_gateway(tmp_path / "data", recall_deadline="2", reflect_turns="1") as gateway:
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-ec",
            script,
            cwd=tmp_path,
            env={**os.environ, "BASE": gateway.url, "NO_PROXY": "127.0.0.1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed = (await asyncio.wait_for(process.communicate(), 60))[0].decode()

    assert process.returncode == 0, printed
    assert '"text":"My sister Ada keeps bees in Riga."' in printed
    assert '"genuine":true' in printed
