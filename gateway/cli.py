"""`mneme serve | gateway | writer | reembed | backup | restore | doctor | top | memories | eval …`.

It parses, calls, and prints. No logic."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import uvloop
from pydantic import SecretStr

from gateway import __version__, logs
from gateway.app import build_app, build_writer_app
from gateway.backup import client
from gateway.doctor.report import as_json, table, worst
from gateway.errors import MnemeError
from gateway.evals.fit import command as fit_command
from gateway.evals.fit.run import run as run_fit
from gateway.evals.hygiene import command as hygiene_command
from gateway.evals.hygiene.run import run as run_hygiene
from gateway.evals.qa import command as qa_command
from gateway.evals.qa.run import run as run_qa
from gateway.evals.recall import command as recall_command
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.run import run as run_recall
from gateway.evals.speed import command as speed_command
from gateway.evals.speed.run import run as run_speed
from gateway.server import serve
from gateway.settings import LOCAL_KEY, Settings, read_settings
from gateway.terminal import memories, top
from gateway.wiring import check_shared, drop_index, open_judge, open_services, open_writer, reembed
from gateway.wiring.doctor import examine

Transfer = Callable[[str, str, str, Callable[[str], None]], Coroutine[Any, Any, None]]
View = Callable[[str, str, argparse.Namespace, Callable[[str], None]], Coroutine[Any, Any, None]]
_GATEWAY = "http://127.0.0.1:8080"
_BANNER = """
Mneme {version} remembers at {base}
{who}
    from openai import OpenAI
    client = OpenAI(base_url="{base}", api_key="{key}")
    ask = lambda text: client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": text}}])
    ask("My sister Ada keeps bees in Riga.")
    print(ask("Where does my sister keep bees?").choices[0].message.content)

What it remembers: {root}/admin/ui    API: {root}/docs    Ctrl-C drains and stops.
"""


def main() -> int:
    """The console script; the exit status is 0 when everything ended well, 1 when it was refused or
    something fails, 130 on Ctrl-C."""
    given = _parser().parse_args()
    try:
        settings = given.settings()
        logs.start(given.log_level, settings.log)
        job = given.job(settings, given)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ended: int | None = runner.run(job)
    except MnemeError as refused:
        _say(f"mneme: {refused.message}", error=True)
        return 1
    except OSError as failed:  # such as a report that cannot be written
        _say(f"mneme: {failed}", error=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return ended or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mneme", description="An OpenAI-compatible gateway that remembers.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(settings=read_settings)
    commands = parser.add_subparsers(required=True)
    serving = commands.add_parser(
        "serve", help="gateway, writer and embedded stores in one process (MNEME_* sets it up)"
    )
    serving.set_defaults(job=lambda settings, _: _serve(settings), log_level=logging.INFO)
    alone = commands.add_parser("gateway", help="answers, and leaves indexing to writers; any number may run")
    alone.set_defaults(job=lambda settings, _: _gateway(settings), log_level=logging.INFO)
    writer = commands.add_parser("writer", help="indexes what gateways retained; any number may run")
    writer.set_defaults(job=lambda settings, _: _write(settings), log_level=logging.INFO)
    moving = commands.add_parser("reembed", help="fill the index of MNEME_NEXT_EMBEDDER, and verify it")
    moving.add_argument("--drop", metavar="INDEX", help="instead: remove an index that was left behind")
    moving.set_defaults(job=_reembed, log_level=logging.WARNING)
    for name, job in (("backup", client.back_up), ("restore", client.restore)):
        transfer = commands.add_parser(name, help=f"{name} all that a running gateway keeps; MNEME_ADMIN_KEY opens it")
        transfer.add_argument("file", metavar="FILE", help="compressed where it ends in .gz; - is stdout or stdin")
        transfer.add_argument("--url", default=_GATEWAY, help=f"of the gateway ({_GATEWAY})")
        transfer.set_defaults(job=partial(_transfer, job), log_level=logging.WARNING)
    doctor = commands.add_parser("doctor", help="what is wrong here, and how to mend it; changes nothing")
    doctor.add_argument("--url", default="", help="of a gateway that runs (where MNEME_* have it listen)")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(job=_doctor, settings=Settings.model_construct, log_level=logging.ERROR)
    for name, view, about in (("top", top, "how it fares, live"), ("memories", memories, "what it knows of a user")):
        looking = commands.add_parser(name, help=f"of a running gateway: {about}; MNEME_ADMIN_KEY opens it")
        looking.add_argument("--url", default=_GATEWAY, help=f"of the gateway ({_GATEWAY})")
        view.arguments(looking)
        looking.set_defaults(job=partial(_look, view.run), log_level=logging.ERROR)
    evals = commands.add_parser("eval", help="measure memory").add_subparsers(required=True)
    recall = evals.add_parser("recall", help="how well questions find the turns that answer them")
    recall_command.arguments(recall)
    recall.set_defaults(job=_eval_recall, log_level=logging.WARNING)
    fit = evals.add_parser("fit", help="the ranker's weights, fitted to conversations and checked on others")
    fit_command.arguments(fit)
    fit.set_defaults(job=_eval_fit, log_level=logging.WARNING)
    hygiene = evals.add_parser("hygiene", help="whether what is remembered is clean: doubles, echoes, secrets")
    hygiene_command.arguments(hygiene)
    hygiene.set_defaults(job=_eval_hygiene, log_level=logging.WARNING)
    qa = evals.add_parser("qa", help="whether questions are answered rightly from memory, as a judge says")
    qa_command.arguments(qa)
    qa.set_defaults(job=_eval_qa, log_level=logging.WARNING)
    speed = evals.add_parser("speed", help="how fast a question is, and how that grows with what is remembered")
    speed_command.arguments(speed)
    speed.set_defaults(job=_eval_speed, log_level=logging.WARNING)
    return parser


def _reembed(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return drop_index(settings, given.drop, _say) if given.drop else reembed(settings, _say)


def _transfer(job: Transfer, settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    """Standard output may be the backup, so what there is to say goes elsewhere then."""
    say = partial(_say, error=given.file == "-")
    return job(given.url, settings.admin_key.get_secret_value(), given.file, say)


def _look(job: View, settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return job(given.url, settings.admin_key.get_secret_value(), given, _say)


def _eval_recall(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    """On stores and an embedder as MNEME_* sets them up, but in a directory of its own and in front of the reader."""
    return run_recall(recall_command.plan(given), _of_its_own(settings), _say)


def _eval_fit(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return run_fit(fit_command.plan(given), _of_its_own(settings), _say)


def _eval_speed(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return run_speed(speed_command.plan(given), _of_its_own(settings), _say)


def _eval_hygiene(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return run_hygiene(hygiene_command.plan(given), _indoors(settings), _say)


def _eval_qa(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    judging = partial(open_judge, settings, given.base_url, given.judge_model) if given.judge_model else None
    return run_qa(qa_command.plan(given), _indoors(settings, upstream=given.base_url), judging, _say)


def _indoors(settings: Settings, **more: Any) -> Opener:
    """On embedded stores in a directory of its own, for one local user who has time; in front of MNEME_UPSTREAM."""
    own = {"redis_url": SecretStr(""), "qdrant_url": "", "keys": SecretStr(""), "host": "127.0.0.1", **more}
    return lambda data: open_services(settings.model_copy(update={"data": data, "recall_deadline": 5.0, **own}))


def _of_its_own(settings: Settings) -> Opener:
    return lambda data: open_services(settings.model_copy(update={"data": data, "upstream": ""}))


async def _doctor(_: Settings, given: argparse.Namespace) -> int:
    """It reads the settings itself, for that they are refused is a finding like others."""
    findings = await examine(given.url)
    _say(as_json(findings) if given.json else table(findings))
    return int(worst(findings) == "fail")


async def _gateway(settings: Settings) -> None:
    check_shared(settings)
    await _serve(settings, writes=False)


async def _write(settings: Settings) -> None:
    async with open_writer(settings) as vitals:
        await serve(
            build_writer_app(vitals),
            settings.host,
            settings.port,
            settings.drain_seconds,
            ready=lambda port: _say(f"Mneme's writer tells how it is at http://{settings.host}:{port}/health/ready"),
            closing=asyncio.Event(),
        )


async def _serve(settings: Settings, *, writes: bool = True) -> None:
    async with open_services(settings, writes=writes) as services:
        await serve(
            build_app(services),
            settings.host,
            settings.port,
            settings.drain_seconds,
            ready=lambda port: _say(_banner(settings, port)),
            closing=services.closing,
        )


def _banner(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    root = f"http://{host}:{port}"
    local = settings.local_only
    who = f"For one local user, on this machine only, with the key {LOCAL_KEY}. Try:\n" if local else "Try:\n"
    return _BANNER.format(
        version=__version__,
        base=f"{root}/v1",
        root=root,
        who=who,
        key=LOCAL_KEY if local else "<a key>",
        model="<a model of the upstream>" if settings.upstream else "mneme-reader",
    )


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(text + "\n")
    stream.flush()
