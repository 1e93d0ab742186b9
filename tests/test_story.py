"""The README's picture of `make run`."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tools.layout import ROOT

PICTURE = ROOT / "docs" / "run.svg"


def _shown(svg: str) -> list[str]:
    """The picture's texts, all numbers made alike: ports, sizes and times differ."""
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    words = ["".join(node.itertext()).replace("\xa0", " ").strip() for node in texts]
    return [re.sub(r"\d+", "0", word) for word in words if word]


def test_the_picture_shows_what_make_run_says_today(tmp_path: Path) -> None:
    drawn = tmp_path / "run.svg"
    command = [sys.executable, "-m", "tools.story", "--picture", str(drawn)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert _shown(drawn.read_text("utf-8")) == _shown(PICTURE.read_text("utf-8"))


def test_the_picture_needs_nothing_from_the_web() -> None:
    """And its longest line is not cut off."""
    svg = PICTURE.read_text("utf-8")
    hosts = set(re.findall(r"//([\w.-]+)", svg)) - {"www.w3.org", "www.textualize.io"}
    assert hosts == set()
    assert "pre-registered" in svg.replace("\xa0", " ")


def test_the_readme_shows_the_picture() -> None:
    assert f"](docs/{PICTURE.name})" in (ROOT / "README.md").read_text("utf-8")
