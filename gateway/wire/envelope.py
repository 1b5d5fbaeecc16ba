"""Errors in OpenAI's words. Knows no transport."""

import orjson

from gateway.errors import MnemeError


def render(error: MnemeError) -> tuple[int, bytes]:
    """The status and the JSON body that say what went wrong."""
    return error.status, orjson.dumps(error.body())
