"""Indexes as a plain dictionary: what the adapters are compared with, and what a reconciler is tested over. Knows no
store."""

from dataclasses import dataclass, field, replace

from gateway.memory.records import Standing


@dataclass
class ModelIndexes:
    """ports.Indexes. `made` is how the test says that there is one."""

    plain: str = "plain"
    standing: dict[str, Standing] = field(default_factory=dict)
    marks: int = 0

    def made(self, name: str, embedder: str, behind: str = "") -> None:
        """Somebody opened it."""
        self.standing.setdefault(name, Standing(name, embedder, behind))

    async def found(self) -> list[Standing]:
        """See the port."""
        return [self.standing[name] for name in sorted(self.standing)]

    async def fall_behind(self, name: str) -> str:
        """See the port."""
        self.marks += 1
        self.standing[name] = replace(self.standing[name], behind=f"mark {self.marks}")
        return self.standing[name].behind

    async def catch_up(self, name: str, mark: str) -> bool:
        """See the port."""
        if self.standing[name].behind != mark:
            return False
        self.standing[name] = replace(self.standing[name], behind="")
        return True

    async def drop(self, name: str) -> None:
        """See the port."""
        del self.standing[name]
