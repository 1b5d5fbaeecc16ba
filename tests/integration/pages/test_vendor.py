"""What the pages are served with is what its packages hold, to the byte."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[3] / "gateway" / "pages" / "static" / "vendor"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed: the packages cannot be compared")
def test_the_scripts_are_those_of_their_packages(tmp_path: Path) -> None:
    """Installed anew from the lock file, which holds their digests, and copied as `make vendor` does."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(VENDOR / name, tmp_path)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=tmp_path, check=True, timeout=100)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    subprocess.run(["bash", VENDOR / "copy.sh", tmp_path / "node_modules", fresh], check=True)
    copies = {path.name: path.read_bytes() for path in fresh.iterdir()}

    assert len(copies) == 7
    assert {name: (VENDOR / name).read_bytes() for name in copies} == copies


def test_every_script_has_its_licence_beside_it() -> None:
    """Nothing is served of which it is not said how it may be used."""
    wanted = json.loads((VENDOR / "package.json").read_text())["dependencies"]

    assert len([*VENDOR.glob("*.LICENSE")]) == len(wanted)
    assert all((VENDOR / f"{path.name.split('.')[0]}.LICENSE").exists() for path in VENDOR.glob("*.min.*"))
