"""How many tokens a text costs, estimated without any model's tokenizer. Pure.

About four ASCII letters to a token, and one token for every other character: within some 20 % for English prose on
the tokenizers of current models, and on the safe side for other scripts and for code.
"""

_ASCII_PER_TOKEN = 4
_MESSAGE_OVERHEAD = 4


def tokens(text: str) -> int:
    """Estimated tokens of `text`; 0 for an empty one."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    ascii_chars = len(text.encode("ascii", "ignore"))
    return -(-ascii_chars // _ASCII_PER_TOKEN) + len(text) - ascii_chars


def message_tokens(normal: bytes) -> int:
    """Estimated tokens of a message, from its canonical form, with the template's share."""
    return len(normal) // _ASCII_PER_TOKEN + _MESSAGE_OVERHEAD
