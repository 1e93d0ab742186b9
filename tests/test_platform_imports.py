"""The local platform's folders: imports run one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tools.iot_platform

ROOT = Path(tools.iot_platform.__file__).parent
MAY_IMPORT = {
    "rules": {"rules"},
    "store": {"rules", "store"},
    "network": {"rules", "store", "network"},
    "https": {"rules", "store", "https"},
    "mqtt": {"rules", "store", "mqtt"},
    "console": {"rules", "store", "console"},
    "alink": {"rules", "store", "mqtt", "alink"},
}


def imported(folder: str) -> set[str]:
    """The platform's folders that the modules of one import."""
    found = set()
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                parts = node.module.split(".")
                if parts[:2] == ["tools", "iot_platform"]:
                    found.add(parts[2] if len(parts) > 2 else node.names[0].name)
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    assert imported(folder) <= MAY_IMPORT[folder]
