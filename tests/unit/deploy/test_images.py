"""The Dockerfiles: of what is in the repository and no more, and what they copy is enough to run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__
from tests.unit.deploy.stack import ROOT

DOCKERFILES = sorted((ROOT / "deploy").glob("*.Dockerfile"))
GATEWAY = ROOT / "deploy/gateway.Dockerfile"


def name(path: Path) -> str:
    """A readable test id."""
    return path.name


def copied(dockerfile: Path) -> list[tuple[list[str], str]]:
    """Sources in the repository, and where they go."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile.read_text(), re.M)
    return [(words[:-1], words[-1]) for words in map(str.split, lines)]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=name)
def test_what_is_copied_is_there_and_nothing_else_is_sent(dockerfile: Path) -> None:
    """The context is a list of what may enter, so neither secrets nor data can."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    sources = {source for group, _ in copied(dockerfile) for source in group}

    assert lines[0] == "*"
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {source.partition("/")[0] for source in sources} <= {line[1:] for line in lines if line.startswith("!")}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=name)
def test_an_image_is_small_in_what_it_may(dockerfile: Path) -> None:
    """It ends as a user that is not root, by number, from bases with a version, and tells whether it is well."""
    text = dockerfile.read_text()

    assert re.findall(r"^USER (\d+):(\d+)$", text, re.M)[-1] == ("10001", "10001")
    assert [base for base in re.findall(r"^ARG \w+=(.+)$", text, re.M) if not re.search(r":v?\d+\.\d+", base)] == []
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) == {
        f"${{{arg}}}" for arg in re.findall(r"^ARG (\w+)=", text, re.M)
    }
    assert "HEALTHCHECK" in text


def test_everything_installed_has_a_hash() -> None:
    """In the gateway's image; pip refuses what has none."""
    installs = re.findall(r"install .*", GATEWAY.read_text())
    installs = [line for line in installs if "-r " in line]

    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)


def test_what_is_copied_is_enough_to_run(tmp_path: Path) -> None:
    """Gateway and reader start from the files of the image alone, with the same packages."""
    for sources, target in copied(GATEWAY):
        for source in sources:
            into = tmp_path / target
            (into if target.endswith("/") else into.parent).mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, into)

    def said(*arguments: str) -> str:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout

    assert said("gateway", "--version").strip() == __version__
    assert "--max-model-len" in said("workers.reader", "--help")
