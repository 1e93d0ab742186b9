"""dist/web: a page that flashes a chip from a browser, and the manifests it reads (esp-web-tools).

The firmware is not ours to ship, nor is esp-web-tools: the manifests and the page name where to
put them. A manifest names one image, so there is one for each size of partition.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from tools.flash.firmware import CHIPS
from tools.release.contents import DESCRIPTION, Release
from tools.release.images import SIZES, Size, image_name

ESP_WEB_TOOLS = "10.4.0"
"""Version of esp-web-tools (npm) that the manifest and the page are written for."""
FAMILIES = {
    "esp32": ("ESP32", "ESP32_GENERIC"),
    "esp32s2": ("ESP32-S2", "ESP32_GENERIC_S2"),
    "esp32s3": ("ESP32-S3", "ESP32_GENERIC_S3"),
    "esp32c3": ("ESP32-C3", "ESP32_GENERIC_C3"),
}
"""esptool's name of a chip -> esp-web-tools' name of it, MicroPython's name of its board."""


def manifest(release: Release, size: Size) -> dict[str, object]:
    """What esp-web-tools must know to flash a board with a partition of that size."""
    image = {"path": f"../images/{image_name(release, size)}", "offset": size.layout.offset}
    return {
        "name": "MicroPython with aliyun_iot",
        "version": release.version,
        "new_install_prompt_erase": True,
        "new_install_improv_wait_time": 0,
        "builds": [
            {
                "chipFamily": FAMILIES[chip][0],
                "parts": [
                    {"path": f"firmware/{FAMILIES[chip][1]}.bin", "offset": offset},
                    image,
                ],
            }
            for chip, offset in CHIPS.values()
        ],
    }


def manifest_name(size: Size) -> str:
    """File name of a manifest."""
    return f"manifest-{size.name}.json"


def page(release: Release) -> str:
    """The page: choose the board, connect, write."""
    rows = "\n".join(
        f"  <li>{escape(size.boards)}:\n"
        f'    <esp-web-install-button manifest="{manifest_name(size)}"></esp-web-install-button>'
        for size in SIZES
    )
    boards = ", ".join(f"<code>{board}.bin</code>" for _, board in FAMILIES.values())
    return f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>aliyun_iot {release.version}: write a board</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto }}
  code {{ background: #8882; padding: 0 .2em }}
</style>
<script type="module" src="esp-web-tools/install-button.js"></script>
<h1>Write a board</h1>
<p>{escape(DESCRIPTION)}, version {release.version}: MicroPython, the package and the trust roots,
written from this page with Chrome or Edge. The chip is recognised; its size of flash is not:
<ul>
{rows}
</ul>
<p>Afterwards the board still needs its product and its network:
<pre>mpremote cp product.json wifi.json :
mpremote reset</pre>
<h2>Before you publish this page</h2>
<p>It needs two things beside it that others publish, and a web server with HTTPS, or localhost:
<ul>
  <li><code>firmware/</code>: MicroPython for ESP32, 1.23 or later, from its download page, each
    file renamed to its board: {boards}. Take one version for all.
  <li><code>esp-web-tools/</code>: the folder <code>dist/web</code> of the npm package
    <code>esp-web-tools@{ESP_WEB_TOOLS}</code>.
</ul>
</html>
"""


def write_web(folder: Path, release: Release) -> None:
    """Write page and manifests."""
    folder.mkdir(parents=True)
    for size in SIZES:
        text = json.dumps(manifest(release, size), indent=1) + "\n"
        (folder / manifest_name(size)).write_text(text, "utf-8")
    (folder / "index.html").write_text(page(release), "utf-8")
