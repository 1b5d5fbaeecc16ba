"""A slice of the isolation that `make prove` shows, and that it would be seen if somebody told what is not theirs."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.prove.isolation.people import WALRUS, Person, canaries, people
from tests.prove.isolation.run import Plan, isolated
from tests.prove.isolation.witness import Witness
from tests.prove.parts import isolation_verdicts

ADA, BOB = people(1, 2)[0]


def silent(_what: str) -> None:
    """Tells nobody how far it is."""


def gossip() -> Callable[[dict[str, Any]], str]:
    """A worker that tells everybody the latest that it has heard from anybody."""
    heard: list[str] = []

    def says(body: dict[str, Any]) -> str:
        told = " ".join(heard[-3:])
        heard.extend(canary.decode() for canary in canaries(str(body["messages"]).encode()))
        return f"Have you heard of {told}?"

    return says


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nobody_sees_what_others_said() -> None:
    """Six tenants with users of the same odd names: nothing of others in any answer, prompt, page, metric or log line;
    every answer has the status that it should have, and everybody sees what is theirs."""
    plan = Plan(800, 6, 20)
    verdicts = isolation_verdicts(plan, "a slice", await isolated(plan, silent))

    assert [verdict for verdict in verdicts if not verdict.good] == []


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_leak_is_seen() -> None:
    """With a worker that repeats to everybody what others said, the same run finds it: in answers, and in memories that
    were made of them."""
    plan = Plan(200, 2, 4, says=gossip())
    witness = await isolated(plan, silent)
    places = {finding.partition(":")[0] for finding in witness.found}

    assert {"answers", "all memories"} <= places
    assert not all(verdict.good for verdict in isolation_verdicts(plan, "a leak", witness))


def test_ones_own_word_is_no_finding() -> None:
    """It is counted, so that a search of nothing shows."""
    witness = Witness()
    witness.look("answers", f"Parcel {ADA.canary()}.".encode(), ADA.said, ADA.shown)

    assert (witness.found, witness.own["answers"], witness.reads["answers"]) == ([], 1, 1)


@pytest.mark.parametrize("form", [bytes, urlsafe_b64encode, lambda raw: urlsafe_b64encode(b"\x92" + raw)])
def test_a_word_of_others_is_found(form: Callable[[bytes], bytes]) -> None:
    """Plainly, and within base64, where cursors have it; also one that was their own before they were forgotten."""
    person = Person((0, 7), "acme", "ada", "key")
    before = f"of {person.canary()} and".encode()
    person.forgotten()
    witness = Witness()
    for word in (f"Parcel {BOB.canary()} stands".encode(), before):
        witness.look("pages", b'{"cursor":"' + form(word) + b'"}', person.said, person.shown)

    assert len(witness.found) == witness.leaks == 2


def test_a_name_in_a_log_is_found() -> None:
    """Logs and metrics hold neither words nor names."""
    witness = Witness()
    witness.look_blindly("log lines", b"GET /admin/memories of " + WALRUS)

    assert witness.leaks == 1


def test_a_shared_salt_is_found() -> None:
    """Every owner has values of their own; the same one twice is one owner's."""
    witness = Witness()
    for owner in (0, 0, 1):
        witness.mark("cache_salt", f"salt of {owner}", owner)
    assert witness.leaks == 0

    witness.mark("cache_salt", "salt of 0", 1)

    assert (witness.leaks, witness.shared) == (1, ["cache_salt: shared by 2"])


def test_a_search_of_nothing_is_no_proof() -> None:
    """Where nobody was told even what is theirs, the verdict is bad; so it is for an answer that should be refused."""
    witness = Witness()
    witness.mark("cache_salt", "salt", 0)
    assert not all(verdict.good for verdict in isolation_verdicts(Plan(1), "nothing", witness))

    assert not witness.expect("their memory", 200, 404)
    assert witness.wrong == {"their memory: 200": 1}
