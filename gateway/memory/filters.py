"""Which of a user's memories are meant: the one noun by which they are listed, counted, searched and changed together.
Pure; never knows how a store looks them up."""

from dataclasses import dataclass

from gateway.memory.records import Kind, Memory, Status, Trust


@dataclass(frozen=True, slots=True)
class Filter:
    """Memories that match every field given. `policy` is what made them, "" for what none did; `after` and `before`
    bound when they were said: [after, before), seconds since the epoch."""

    session: str | None = None
    kind: Kind | None = None
    pinned: bool | None = None
    status: Status | None = None
    trust: Trust | None = None
    policy: str | None = None
    after: float | None = None
    before: float | None = None

    @property
    def equal(self) -> dict[str, str | bool]:
        """The fields given of which a memory has the same, by name."""
        fields = {
            "session": self.session,
            "kind": self.kind,
            "pinned": self.pinned,
            "status": self.status,
            "trust": self.trust,
            "policy": self.policy,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def bounds(self) -> dict[str, float]:
        """Those of the time, as `gte` and `lt`; empty without any."""
        bounds = {"gte": self.after, "lt": self.before}
        return {name: value for name, value in bounds.items() if value is not None}

    def admits(self, memory: Memory) -> bool:
        """Whether it is one of them."""
        made_by = memory.thought.policy if memory.thought else ""
        held = {name: made_by if name == "policy" else getattr(memory, name) for name in self.equal}
        if held != self.equal:
            return False
        return (self.after is None or self.after <= memory.at) and (self.before is None or memory.at < self.before)


EVERYTHING = Filter()
