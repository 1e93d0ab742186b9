"""Writes what `mpremote mip install` reads: `python -m tools.packaging`.

package.json lists the modules of a device, package-gateway.json those that a gateway needs beside
them, as source files; `make deploy` copies compiled ones. The version, and what
firmware/manifest.py lists, is written by hand.
"""

from __future__ import annotations

import argparse
import json

from tools.image import package_version
from tools.layout import LIB, PACKAGE, ROOT

PACKAGE_JSON = ROOT / "package.json"
GATEWAY_JSON = ROOT / "package-gateway.json"
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


def main() -> None:
    """The command."""
    argparse.ArgumentParser(prog="aliyun-iot packaging", description=__doc__).parse_args()
    PACKAGE_JSON.write_text(package_json(), "utf-8")
    GATEWAY_JSON.write_text(package_json(gateway=True), "utf-8")


if __name__ == "__main__":
    main()
