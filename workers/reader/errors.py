"""What the reader refuses, in vLLM's words and shapes. Never knows HTTP."""

from typing import Any


class Refusal(Exception):
    """A request that is not answered. `status` is the HTTP status and, as in vLLM, the integer `code` of the body."""

    def __init__(
        self, message: str, *, status: int = 400, type: str = "BadRequestError", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self._error = {"message": message, "type": type, "param": param, "code": status}

    def body(self) -> dict[str, Any]:
        """The error object: {"error": {"message", "type", "param", "code"}}."""
        return {"error": self._error}


def malformed(message: str, param: str | None = None) -> Refusal:
    """The body is not what the route takes; vLLM names this type after the HTTP phrase."""
    return Refusal(message, type="Bad Request", param=param)


def unknown_model(name: str) -> Refusal:
    """A model that is not served here."""
    return Refusal(f"The model `{name}` does not exist.", status=404, type="NotFoundError", param="model")


def too_long(window: int, wanted: int, prompt: int) -> Refusal:
    """`prompt` tokens of input and `wanted` of output do not fit into `window`."""
    message = (
        f"This model's maximum context length is {window} tokens. However, you asked for {wanted} output tokens and "
        f"the prompt has {prompt} input tokens, {prompt + wanted} in total. Shorten the prompt or ask for fewer tokens."
    )
    return Refusal(message, param="input_tokens")
