"""Writes package.json, which `mpremote mip install` reads: `python -m tools.packaging`.

It lists every module of the package as a source file; `make deploy` copies compiled ones. The
version is written by hand in lib/aliyun_iot/__init__.py and firmware/manifest.py.
"""

from __future__ import annotations

import argparse
import json

from tools.image import package_version
from tools.layout import LIB, PACKAGE, ROOT

PACKAGE_JSON = ROOT / "package.json"


def package_json() -> str:
    """What package.json must be. umqtt.simple is no dependency: stock firmware freezes it."""
    names = [path.relative_to(LIB).as_posix() for path in sorted(PACKAGE.rglob("*.py"))]
    urls = [[name, f"lib/{name}"] for name in names]
    lines = ",\n".join(f"    {json.dumps(url)}" for url in urls)
    return (
        f'{{\n  "version": {json.dumps(package_version())},\n  "deps": [],\n'
        f'  "urls": [\n{lines}\n  ]\n}}\n'
    )


def main() -> None:
    """The command."""
    argparse.ArgumentParser(prog="aliyun-iot packaging", description=__doc__).parse_args()
    PACKAGE_JSON.write_text(package_json(), "utf-8")


if __name__ == "__main__":
    main()
