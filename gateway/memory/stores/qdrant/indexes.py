"""The collections of one installation on a Qdrant server. Never looks at a point."""

import uuid
from typing import Any

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Standing
from gateway.memory.stores import naming
from gateway.memory.stores.qdrant.layout import MARK
from gateway.memory.stores.qdrant.server import Connection, answered


class Collections:
    """See ports.Indexes. `plain` is a collection's name, or alias. A mark is part of a collection's stamp.

    What is asked and what is then written are two calls: a mark that is set between them, within milliseconds, may be
    taken off. That somebody uses a collection which is dropped cannot be known.
    """

    def __init__(self, connection: Connection, plain: str) -> None:
        self._client = connection.client
        self.plain = plain

    async def found(self) -> list[Standing]:
        names = {each.name for each in (await answered(self._client.get_collections())).collections}
        if self.plain not in names and await answered(self._client.collection_exists(self.plain)):
            names.add(self.plain)  # an alias
        stamps = {name: await self._stamp(name) for name in sorted(names) if naming.may_be_ours(self.plain, name)}
        known = {name: str(stamp["embedder"]) for name, stamp in stamps.items() if "embedder" in stamp}
        return [
            Standing(name, embedder, str(stamps[name].get(MARK, "")))
            for name, embedder in known.items()
            if naming.is_ours(self.plain, name, embedder)
        ]

    async def fall_behind(self, name: str) -> str:
        mark = uuid.uuid4().hex
        await answered(self._client.update_collection(name, metadata={MARK: mark}))
        return mark

    async def catch_up(self, name: str, mark: str) -> bool:
        found = str((await self._stamp(name)).get(MARK, ""))
        if found and found == mark:
            await answered(self._client.update_collection(name, metadata={MARK: ""}))
        return found == mark

    async def drop(self, name: str) -> None:
        if not await answered(self._client.delete_collection(name)):
            raise DataDirectoryRefused(f"The Qdrant server did not remove the collection {name}.")

    async def _stamp(self, name: str) -> dict[str, Any]:
        return (await answered(self._client.get_collection(name))).config.metadata or {}
