"""Writes the lists of the package's modules: `aliyun-iot packaging`.

package.json lists the modules of a device, package-gateway.json those that a gateway needs beside
them, as source files for `mpremote mip install`; `make deploy` copies compiled ones.
firmware/manifest.py lists both for a firmware build. The version comes from the package.
"""

from __future__ import annotations

import argparse
import json

from tools.image import package_version
from tools.layout import LIB, PACKAGE, ROOT

PACKAGE_JSON = ROOT / "package.json"
GATEWAY_JSON = ROOT / "package-gateway.json"
MANIFEST = ROOT / "firmware" / "manifest.py"
GATEWAY = "aliyun_iot/gateway/"


def sources(gateway: bool) -> list[str]:
    """Paths below lib/ of a device's modules, or of those that a gateway needs beside them."""
    names = [path.relative_to(LIB).as_posix() for path in sorted(PACKAGE.rglob("*.py"))]
    return [name for name in names if name.startswith(GATEWAY) == gateway]


def package_json(gateway: bool = False) -> str:
    """What package.json must be, or package-gateway.json.

    umqtt.simple is no dependency: stock firmware freezes it. Nor is the device package one of the
    gateway's: where it lies on the net, these files do not know.
    """
    urls = [[name, f"lib/{name}"] for name in sources(gateway)]
    lines = ",\n".join(f"    {json.dumps(url)}" for url in urls)
    return (
        f'{{\n  "version": {json.dumps(package_version())},\n  "deps": [],\n'
        f'  "urls": [\n{lines}\n  ]\n}}\n'
    )


def manifest() -> str:
    """What firmware/manifest.py must be: MicroPython's build defines the functions it calls."""

    def package(gateway: bool) -> str:
        names = [name.removeprefix("aliyun_iot/") for name in sources(gateway)]
        lines = "".join(f'        "{name}",\n' for name in names)
        return (
            'package(  # noqa: F821\n    "aliyun_iot",\n    (\n'
            f'{lines}    ),\n    base_path="../lib",\n)\n'
        )

    return f"""\
# Freezes the package into a firmware build, where its code takes no heap:
#   make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=<this file>
# A manifest given there replaces the port's own, so that one comes first: umqtt.simple is in it.
# Written by `aliyun-iot packaging`.
metadata(  # noqa: F821 - the build defines these names
    description="The identity of an ESP32 on Alibaba Cloud IoT Platform",
    version="{package_version()}",
)
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
{package(gateway=False)}\
# A gateway's part; leave it out of a firmware for devices that are none.
{package(gateway=True)}"""


def main() -> None:
    """The command."""
    argparse.ArgumentParser(prog="aliyun-iot packaging", description=__doc__).parse_args()
    PACKAGE_JSON.write_text(package_json(), "utf-8")
    GATEWAY_JSON.write_text(package_json(gateway=True), "utf-8")
    MANIFEST.write_text(manifest(), "utf-8")


if __name__ == "__main__":
    main()
