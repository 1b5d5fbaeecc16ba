"""An error in OpenAI's words."""

import orjson

from gateway.errors import BadRequest, NotAuthenticated
from gateway.wire import envelope


def test_an_error_is_rendered_with_all_four_members() -> None:
    """Clients read message, type, param and code; none is missing."""
    status, body = envelope.render(BadRequest("Say more.", param="messages"))

    assert status == 400
    assert orjson.loads(body) == {
        "error": {"message": "Say more.", "type": "invalid_request_error", "param": "messages", "code": None}
    }


def test_the_status_is_the_class_s() -> None:
    """A missing key is 401 with OpenAI's code."""
    status, body = envelope.render(NotAuthenticated("No key."))

    assert (status, orjson.loads(body)["error"]["code"]) == (401, "invalid_api_key")
