"""The command `python -m tools.reference` (`make reference`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.command import run
from tools.layout import ROOT
from tools.reference.api import Undocumented, api
from tools.reference.house import placed

API = ROOT / "docs" / "api.md"
PICTURED = (ROOT / "docs" / "architecture.md", ROOT / "README.md")


def written() -> dict[Path, str]:
    """What the files must hold. Raises Undocumented."""
    found = {API: api()}
    for path in PICTURED:
        text = placed(path.read_text("utf-8"))
        if text is not None:
            found[path] = text
    return found


def stale() -> list[Path]:
    """The files that hold something else."""
    return [
        path
        for path, text in written().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main() -> int:
    """The command: its exit status."""
    parser = argparse.ArgumentParser(
        prog="aliyun-iot reference",
        description="Write docs/api.md, and the picture of the modules in docs/architecture.md.",
    )
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    options = parser.parse_args()

    def work() -> int:
        old = stale()
        for path in old:
            if options.check:
                print(f"{path.relative_to(ROOT)}: stale; run make reference")
            else:
                path.write_text(written()[path], "utf-8")
        return 1 if options.check and old else 0

    return run(work, Undocumented)


if __name__ == "__main__":
    sys.exit(main())
