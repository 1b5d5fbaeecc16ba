"""What wiring refuses before anything is opened."""

from pathlib import Path

import pytest

from gateway.errors import NotFound, SettingsRefused
from gateway.settings import Settings
from gateway.wiring import open_services


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"policy": "telepathy"}, "MNEME_POLICY=telepathy .* none, verbatim"),
        ({"embedder": "magic"}, "MNEME_EMBEDDER=magic .* minilm, http"),
        ({"next_embedder": "magic"}, "MNEME_NEXT_EMBEDDER=magic .* minilm, http"),
        ({"workers": '{"a": {}}'}, "MNEME_WORKERS: 'a' needs a url"),
    ],
)
async def test_a_setting_that_leads_nowhere_is_refused(settings: dict[str, str], said: str, tmp_path: Path) -> None:
    """The knob is named and so is what would do; no data directory comes about."""
    data = tmp_path / "data"
    with pytest.raises(SettingsRefused, match=said):
        async with open_services(Settings.model_validate({"data": data, **settings})):
            pass

    assert not data.exists()


async def test_what_goes_wrong_while_services_are_open_leaves_as_itself(tmp_path: Path) -> None:
    """Not inside the group of the background tasks, where nobody would recognise it."""
    with pytest.raises(NotFound):
        async with open_services(Settings.model_validate({"data": tmp_path, "upstream": "http://127.0.0.1:9/v1"})):
            raise NotFound("nothing of the kind")
