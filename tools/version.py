"""The package's version."""

from __future__ import annotations

import re

from tools.layout import PACKAGE


def package_version() -> str:
    """Version of the device package, "0" where it says none."""
    text = (PACKAGE / "__init__.py").read_text("utf-8")
    match = re.search(r'(?m)^__version__\s*=\s*"([^"]+)"', text)
    return match[1] if match else "0"
