"""The lines of a body that comes in pieces. Knows nothing of what they say."""

from collections.abc import AsyncIterator

NDJSON = "application/x-ndjson"


async def split(pieces: AsyncIterator[bytes], longest: int) -> AsyncIterator[tuple[int, bytes]]:
    """Lines with their numbers, from 1. Of one that is too long only so much is held as shows that it is."""
    number, held = 1, bytearray()
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            held += end
            yield number, bytes(held)
            number, held = number + 1, bytearray()
        held += rest[: longest + 1 - len(held)] if len(held) <= longest else b""
    yield number, bytes(held)
