"""docker-compose.yml: every profile is understood, nothing starts without secrets, nothing may do more than it must."""

import re
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.unit.deploy.stack import PROFILES, ROOT, compose, environment, needs_compose, services

pytestmark = needs_compose

SECRETS = re.findall(r"^([A-Z_]+)=$", (ROOT / "deploy/env.example").read_text(), re.M)
OURS = ("gateway", "writer", "reader")


def seconds(duration: str) -> int:
    """Of Compose's `2m10s`."""
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(rest or 0)


@pytest.mark.parametrize("profiles", PROFILES, ids="+".join)
def test_every_profile_is_understood(profiles: tuple[str, ...]) -> None:
    """By Compose itself, with the secrets that the script makes and nothing else."""
    printed = compose(*profiles, env=environment())

    assert (printed.returncode, printed.stderr) == (0, "")


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("given", ["", "{}="], ids=["missing", "empty"])
def test_nothing_starts_without_a_secret(secret: str, given: str) -> None:
    """There is no default for any of them, and the refusal names it."""
    others = "\n".join(line for line in environment().splitlines() if not line.startswith(f"{secret}="))
    printed = compose(env=f"{others}\n{given.format(secret)}\n")

    assert printed.returncode != 0
    assert f"set {secret} in .env" in printed.stderr


def test_the_example_has_no_value() -> None:
    """Nobody can start the stack with what everybody knows."""
    lines = (ROOT / "deploy/env.example").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#") and not line.endswith("=")] == []
    assert len(SECRETS) == 6


def test_made_secrets_differ_from_each_other_and_from_the_last() -> None:
    """Twelve times 256 random bits."""
    values = [value for _ in range(2) for value in re.findall(r"^[A-Z_]+=([\w-]{43})", environment(), re.M)]

    assert len(set(values)) == 2 * len(SECRETS)


def test_made_secrets_can_stand_in_a_url() -> None:
    """Redis's is a part of one."""
    assert re.search(r"^REDIS_PASSWORD=[\w-]+$", environment(), re.M)


def test_nothing_may_do_more_than_it_must() -> None:
    """No root, a root filesystem that is read only, no capability, no way to get one, a limit of memory, of the log."""
    for name, service in services().items():
        assert service["user"].split(":")[0] not in ("", "0", "root"), name
        assert service["read_only"] is True, name
        assert (service["cap_drop"], service.get("cap_add", [])) == (["ALL"], []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["logging"]["options"]["max-size"], name
        assert not service.get("privileged"), name


def test_images_are_pinned() -> None:
    """Those of others by a version; ours are built here."""
    foreign = {name: service["image"] for name, service in services().items() if name not in (*OURS, "vllm")}

    assert {name: image for name, image in foreign.items() if not re.search(r":v?\d+\.\d+", image)} == {}


def test_everything_says_whether_it_is_well() -> None:
    """With a healthcheck of its own, or its image's."""
    told = {
        name
        for name, service in services().items()
        if "healthcheck" in service
        or ("build" in service and "HEALTHCHECK" in (ROOT / service["build"]["dockerfile"]).read_text())
    }

    assert set(services()) - told == {"writer"}
    assert services()["writer"]["image"] == services()["gateway"]["image"]


@pytest.mark.parametrize("role", ["gateway", "writer"])
def test_who_is_stopped_has_time_to_drain(role: str) -> None:
    """Running answers may take MNEME_DRAIN_SECONDS, and what they taught as long again."""
    service = services()[role]

    assert seconds(service["stop_grace_period"]) > 2 * int(service["environment"]["MNEME_DRAIN_SECONDS"])


def test_the_balancer_outlasts_its_gateways() -> None:
    """Else it would cut what they still say."""
    hard_stop = int(re.findall(r"hard-stop-after (\d+)s", (ROOT / "deploy/haproxy.cfg").read_text())[0])

    assert int(services()["gateway"]["environment"]["MNEME_DRAIN_SECONDS"]) <= hard_stop
    assert hard_stop < seconds(services()["balancer"]["stop_grace_period"])


def test_silence_is_the_gateway_s_to_judge() -> None:
    """The balancer waits longer than the gateway does by default."""
    patience = [
        int(s) for s in re.findall(r"timeout (?:server|client) (\d+)s", (ROOT / "deploy/haproxy.cfg").read_text())
    ]
    limits = Settings.model_fields["first_byte_timeout"].default, Settings.model_fields["idle_timeout"].default

    assert len(patience) == 2
    assert min(patience) > max(limits)


def test_only_loopback_is_published() -> None:
    """Until somebody says otherwise; and of what is remembered, nothing."""
    published = {name: [port["host_ip"] for port in s["ports"]] for name, s in services().items() if s.get("ports")}

    assert published == {"balancer": ["127.0.0.1"], "grafana": ["127.0.0.1"], "prometheus": ["127.0.0.1"]}


def test_what_is_mounted_is_there() -> None:
    """And cannot be written to."""
    mounts = [mount for s in services().values() for mount in s.get("volumes", []) if mount["type"] == "bind"]

    assert mounts
    assert [mount["source"] for mount in mounts if not Path(mount["source"]).exists() or not mount["read_only"]] == []


def test_replicas_share_no_directory() -> None:
    """Each builds the embedder's graph under the same name of a process: in one directory they would meet."""
    for role in ("gateway", "writer"):
        assert services()[role]["deploy"]["replicas"] == 2
        assert [mount.get("source") for mount in services()[role]["volumes"]] == [None]


def test_what_is_set_are_settings() -> None:
    """Every MNEME_ variable of a service is read by somebody."""
    named = {name for role in ("gateway", "writer") for name in services()[role]["environment"]}

    assert {name.removeprefix("MNEME_").lower() for name in named} <= set(Settings.model_fields)
