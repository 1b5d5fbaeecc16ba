"""How many tokens a text costs, estimated without any model's tokenizer. Pure.

About four ASCII letters to a token, and one token for every other character: within some 20 % for English prose on
the tokenizers of current models, and on the safe side for other scripts and for code.
"""

_ASCII_PER_TOKEN = 4
_MESSAGE_OVERHEAD = 4
_OTHER_PART = 1000  # a picture or a sound: what it costs depends on the model, not on its length in base64


def tokens(text: str) -> int:
    """Estimated tokens of `text`; 0 for an empty one."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    ascii_chars = len(text.encode("ascii", "ignore"))
    return -(-ascii_chars // _ASCII_PER_TOKEN) + len(text) - ascii_chars


def raw_tokens(size: int) -> int:
    """Estimated tokens of `size` bytes of JSON, such as the tools of a request."""
    return size // _ASCII_PER_TOKEN


def message_tokens(normal: bytes, others: int) -> int:
    """Estimated tokens of a message with `others` parts that are no text, from its canonical form, with the template's
    share."""
    return len(normal) // _ASCII_PER_TOKEN + _MESSAGE_OVERHEAD + others * _OTHER_PART
