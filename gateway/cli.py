"""`mneme serve | gateway | writer | eval recall | eval fit | eval speed`: parses, calls, prints. No logic."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop

from gateway import __version__, logs
from gateway.app import build_app, build_writer_app
from gateway.errors import MnemeError
from gateway.evals.fit import command as fit_command
from gateway.evals.fit.run import run as run_fit
from gateway.evals.recall import command as recall_command
from gateway.evals.recall.embedded import Opener
from gateway.evals.recall.run import run as run_recall
from gateway.evals.speed import command as speed_command
from gateway.evals.speed.run import run as run_speed
from gateway.server import serve
from gateway.settings import LOCAL_KEY, Settings, read_settings
from gateway.wiring import check_shared, open_services, open_writer

_BANNER = """
Mneme {version} remembers at {base}
{who}
    from openai import OpenAI
    client = OpenAI(base_url="{base}", api_key="{key}")
    ask = lambda text: client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": text}}])
    ask("My sister Ada keeps bees in Riga.")
    print(ask("Where does my sister keep bees?").choices[0].message.content)

What it remembers: {root}/admin/memories    API: {root}/docs    Ctrl-C drains and stops.
"""


def main() -> int:
    """The console script; the exit status is 0 when everything ended well, 1 when it was refused, 130 on Ctrl-C."""
    given = _parser().parse_args()
    try:
        settings = read_settings()
        logs.start(given.log_level, settings.log)
        job = given.job(settings, given)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(job)
    except MnemeError as refused:
        _say(f"mneme: {refused.message}", error=True)
        return 1
    except OSError as failed:  # such as a report that cannot be written
        _say(f"mneme: {failed}", error=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mneme", description="An OpenAI-compatible gateway that remembers.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True)
    serving = commands.add_parser(
        "serve", help="gateway, writer and embedded stores in one process (MNEME_* sets it up)"
    )
    serving.set_defaults(job=lambda settings, _: _serve(settings), log_level=logging.INFO)
    alone = commands.add_parser("gateway", help="answers, and leaves indexing to writers; any number may run")
    alone.set_defaults(job=lambda settings, _: _gateway(settings), log_level=logging.INFO)
    writer = commands.add_parser("writer", help="indexes what gateways retained; any number may run")
    writer.set_defaults(job=lambda settings, _: _write(settings), log_level=logging.INFO)
    evals = commands.add_parser("eval", help="measure memory").add_subparsers(required=True)
    recall = evals.add_parser("recall", help="how well questions find the turns that answer them")
    recall_command.arguments(recall)
    recall.set_defaults(job=_eval_recall, log_level=logging.WARNING)
    fit = evals.add_parser("fit", help="the ranker's weights, fitted to conversations and checked on others")
    fit_command.arguments(fit)
    fit.set_defaults(job=_eval_fit, log_level=logging.WARNING)
    speed = evals.add_parser("speed", help="how fast a question is, and how that grows with what is remembered")
    speed_command.arguments(speed)
    speed.set_defaults(job=_eval_speed, log_level=logging.WARNING)
    return parser


def _eval_recall(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    """On stores and an embedder as MNEME_* sets them up, but in a directory of its own and in front of the reader."""
    return run_recall(recall_command.plan(given), _of_its_own(settings), _say)


def _eval_fit(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return run_fit(fit_command.plan(given), _of_its_own(settings), _say)


def _eval_speed(settings: Settings, given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    return run_speed(speed_command.plan(given), _of_its_own(settings), _say)


def _of_its_own(settings: Settings) -> Opener:
    return lambda data: open_services(settings.model_copy(update={"data": data, "upstream": ""}))


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
        )


async def _serve(settings: Settings, *, writes: bool = True) -> None:
    async with open_services(settings, writes=writes) as services:
        await serve(
            build_app(services),
            settings.host,
            settings.port,
            settings.drain_seconds,
            ready=lambda port: _say(_banner(settings, port)),
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
