"""Writes .venv/bin/aliyun-iot, which runs the commands of this checkout from any folder.

No installation: what is changed in tools/ counts at once, and the checkout may be moved.
"""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPT = """#!/bin/sh
'''exec' "$(dirname "$(readlink -f "$0")")/python" "$0" "$@"
' '''
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)
from tools.cli import main

sys.exit(main())
"""


def main() -> int:
    """Write the script beside this environment's interpreter."""
    path = Path(sys.executable).with_name("aliyun-iot")
    path.write_text(_SCRIPT)
    path.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main())
