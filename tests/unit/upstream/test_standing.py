"""The breaker of one replica, held to a model that keeps every event and derives the state anew."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.upstream.standing import Breaker


class Time:
    """A clock that stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def tripped(time: Time, draw: float = 0.0) -> Breaker:
    """One that opened just now."""
    breaker = Breaker(time, lambda: draw)
    for _ in range(5):
        breaker.fail()
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    """A success between them begins the count anew."""
    breaker = Breaker(Time(), lambda: 0.0)
    for _ in range(4):
        breaker.fail()
    breaker.succeed()
    for _ in range(4):
        breaker.fail()

    assert (breaker.state, breaker.admits) == ("closed", True)
    breaker.fail()
    assert (breaker.state, breaker.admits) == ("open", False)


def test_one_probe_is_let_through_after_the_rest() -> None:
    """Until it is known what became of it, nobody else is."""
    time = Time()
    breaker = tripped(time)
    time.now += 1.0

    assert (breaker.state, breaker.admits) == ("half-open", True)
    breaker.begin()
    assert (breaker.state, breaker.admits) == ("half-open", False)
    breaker.succeed()
    assert (breaker.state, breaker.admits) == ("closed", True)


def test_a_probe_that_nobody_waited_for_leaves_its_place_to_another() -> None:
    """A client that leaves says nothing of the worker."""
    time = Time()
    breaker = tripped(time)
    time.now += 1.0
    breaker.begin()
    breaker.give_up()

    assert (breaker.state, breaker.admits) == ("half-open", True)


def test_every_probe_that_fails_doubles_the_rest_up_to_half_a_minute() -> None:
    """And a success lets it start from the beginning."""
    time = Time()
    breaker, rests = tripped(time), []
    for _ in range(8):
        began = time.now
        while breaker.state == "open":
            time.now += 0.5
        rests.append(time.now - began)
        breaker.begin()
        breaker.fail()
    breaker.succeed()
    for _ in range(5):
        breaker.fail()
    time.now += 1.0

    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]
    assert breaker.state == "half-open"


def test_the_rest_is_cut_by_the_lot() -> None:
    """By up to a half, so that several gateways do not probe at once."""
    time = Time()
    breaker = tripped(time, draw=0.8)
    time.now += 0.59
    early = breaker.state
    time.now += 0.02

    assert (early, breaker.state) == ("open", "half-open")


class Sequel(RuleBasedStateMachine):
    """Any order of requests, outcomes and pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.breaker = Breaker(self.time, lambda: 0.0)
        self.failures, self.rests, self.until, self.probing = 0, 0, 0.0, False

    @property
    def is_open(self) -> bool:
        """By the model."""
        return self.time.now < self.until

    @rule(seconds=st.sampled_from([0.1, 0.9, 3.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """Time goes on."""
        self.time.now += seconds

    @rule()
    def ask(self) -> None:
        """A request is sent: where the breaker admits it, or for want of anybody else."""
        self.breaker.begin()
        self.probing = self.probing or (self.until > 0 and not self.is_open)

    @rule()
    def succeed(self) -> None:
        """An answer forgives everything."""
        self.breaker.succeed()
        self.failures, self.rests, self.until, self.probing = 0, 0, 0.0, False

    @rule()
    def fail(self) -> None:
        """The fifth in a row opens it, and any while it is half-open."""
        self.breaker.fail()
        self.failures += 1
        if not self.is_open and (self.until > 0 or self.failures >= 5):
            self.until = self.time.now + min(2.0**self.rests, 30.0)
            self.rests += 1
            self.probing = False

    @rule()
    def leave(self) -> None:
        """The client goes away."""
        self.breaker.give_up()
        self.probing = False

    @invariant()
    def is_as_the_model_says(self) -> None:
        """State and admission."""
        state = "closed" if self.until == 0 else "open" if self.is_open else "half-open"
        assert self.breaker.state == state
        assert self.breaker.admits == (state == "closed" or (state == "half-open" and not self.probing))


TestAnyOrder = Sequel.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, derandomize=True, deadline=None)
