"""Pictures and videos of a message: found where clients put them, and kept as nothing that opens a door."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media import parts, reference, seen
from gateway.memory.thoughts import Media

URL = "https://pictures.example/hives/7.png"
BYTES = b"\x89PNG not really"
INLINE = f"data:image/png;base64,{base64.b64encode(BYTES).decode()}"


def shown(*content: Any) -> tuple[Media, ...]:
    """What a message with these parts shows."""
    return seen(parts([{"role": "user", "content": list(content)}]))


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": URL, "detail": "low"}}, "image"),
        ({"type": "image_url", "image_url": URL}, "image"),
        ({"type": "input_image", "image_url": URL}, "image"),
        ({"type": "video_url", "video_url": {"url": URL}}, "video"),
    ],
)
def test_every_way_of_showing_is_known(part: dict[str, Any], kind: Any) -> None:
    """With its place among the message's parts."""
    assert shown({"type": "text", "text": "Look:"}, part) == (Media(kind, URL, 1),)


@pytest.mark.parametrize(
    "part",
    [
        None,
        7,
        "image_url",
        {},
        {"type": "text", "text": URL},
        {"type": "image_url"},
        {"type": "image_url", "image_url": {"url": 7}},
        {"type": "image_url", "image_url": []},
        {"type": ["image_url"], "image_url": URL},
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
    ],
)
def test_what_shows_nothing_is_passed_over(part: Any) -> None:
    """Whatever a client sends."""
    assert shown(part) == ()


def test_bytes_that_were_sent_along_are_told_by_their_digest() -> None:
    """The one that sha256sum gives of the file; broken base64 has one too."""
    assert reference(INLINE) == f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
    assert reference("data:image/png;base64,A").startswith("sha256:")
    assert reference(INLINE) != reference("data:image/png;base64,AAAA")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (URL, URL),
        (f"{URL}?w=640&h=480", f"{URL}?w=640&h=480"),
        (f"{URL}?X-Amz-Signature=ab&w=640", URL),
        (f"{URL}?sig=ab", URL),
        (f"{URL}?se=2026&sp=r", URL),
        (f"{URL}?w=1&t=0123456789abcdef", URL),
        (f"{URL}?0123456789abcdef", URL),
        (f"{URL}#0123456789abcdef", URL),
        ("https://ada:hunter2@pictures.example/7.png", "https://pictures.example/7.png"),
        ("https://ada:hunter2@[::1", f"sha256:{hashlib.sha256(b'https://ada:hunter2@[::1').hexdigest()}"),
        (f"{URL}?{'&'.join('abcdefghijklmnopq')}", f"sha256:{hashlib.sha256(f'{URL}?'.encode()).hexdigest()}"),
    ],
)
def test_a_url_that_may_open_a_door_is_cut(url: str, kept: str) -> None:
    """To what anybody may know."""
    found = reference(url)

    assert found == kept or (kept.startswith("sha256:") and found.startswith("sha256:"))


def test_no_more_than_some_are_kept() -> None:
    """And no URL without end."""
    many = shown(*[{"type": "image_url", "image_url": f"https://x.example/{'y' * 9000}"}] * 40)

    assert len(many) == 32 and len(many[0].reference) == 2048


@given(st.text(), st.text(min_size=13))
def test_no_text_breaks_it_and_no_long_value_of_a_query_is_kept(url: str, secret: str) -> None:
    """Whatever the characters."""
    assert isinstance(reference(url), str)
    assert secret not in reference(f"https://x.example/?w={secret}")
