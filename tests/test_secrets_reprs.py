"""What the tools' own objects show of themselves, in a log, a traceback or a debugger."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tools.deploy import Plan
from tools.faults.proxy import Fault
from tools.faults.secrets import Secrets
from tools.iot_platform import LocalPlatform
from tools.iot_platform.mqtt.kept import Kept
from tools.iot_platform.mqtt.packets import Connect, Publish
from tools.iot_platform.rules.faults import RawHttp
from tools.iot_platform.store.entities import Client
from tools.iot_platform.store.record import Message
from tools.layout import ROOT
from tools.provision.units import read_units
from tools.provision.work import Job

KEY, SECRET = "a1ExpAkj9Hi", "7xQ5U6d6MokPZD4KGQQFFlGinIipW9Xn"
TELLING = re.compile(r"secret|token|password|payload|content|answer|pieces")
HARMLESS = {
    ("Root", "der"): "a certificate",
    ("Record", "content"): "masked on the board, before it crossed the wire",
}


def shown_fields(tree: ast.Module) -> list[tuple[str, str, str]]:
    """Class, field and type of what the reprs of a module's dataclasses show."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
        own = any(isinstance(i, ast.FunctionDef) and i.name == "__repr__" for i in node.body)
        if "dataclass" not in marks or own or "repr=False" in marks:
            continue
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and "repr=False" not in ast.unparse(item):
                kind = ast.unparse(item.annotation)
                found.append((node.name, ast.unparse(item.target), kind))
    return found


def suspicious(fields: list[tuple[str, str, str]]) -> list[str]:
    """Those that may hold a secret: by name, or since bytes hold anything."""
    return [
        f"{name}.{field}"
        for name, field, kind in fields
        if (name, field) not in HARMLESS
        and (re.search(r"\bbytes\b", kind) or (TELLING.search(field) and "str" in kind))
    ]


def test_no_dataclass_shows_a_field_that_may_hold_a_secret() -> None:
    modules = sorted(ROOT.glob("tools/**/*.py"))
    fields = [shown_fields(ast.parse(path.read_text("utf-8"))) for path in modules]
    assert sum(map(len, fields)) > 100
    assert {str(p): s for p, f in zip(modules, fields, strict=True) if (s := suspicious(f))} == {}


def test_a_dataclass_that_shows_one_is_found_out() -> None:
    source = """
@dataclass(frozen=True)
class Wrong:
    name: str
    device_secret: str
    hidden_token: str = field(repr=False)
    data: dict[str, bytes] = field(default_factory=dict)
"""
    assert suspicious(shown_fields(ast.parse(source))) == ["Wrong.device_secret", "Wrong.data"]


def test_what_holds_a_secret_does_not_show_it(tmp_path: Path) -> None:
    secrets = Secrets()
    secrets.add("it", SECRET)
    csv = tmp_path / "devices.csv"
    csv.write_text(f"productKey,deviceName,deviceSecret\n{KEY},SN-1,{SECRET}\n")
    (unit,) = read_units(csv)
    files = {"/device.json": unit.device_json()}
    kept = Kept()
    kept.keep("/sys/x", SECRET.encode())
    with LocalPlatform() as platform:
        registry = platform.registry
        product = registry.add_product(KEY, SECRET, registration_free=True)
        device = registry.add_device(KEY, "SN-1", SECRET)
        things: list[object] = [
            unit,
            Job(files, True),
            Plan(files, (), 0),
            product,
            device,
            Client("c" * 24, KEY, "SN-1", SECRET, None),
            Connect("MQTT", 4, True, 60, "c|x=1|", f"SN-1&{KEY}", SECRET),
            Publish("/sys/x", SECRET.encode(), 1, 1),
            Message(0.0, KEY, "SN-1", "/sys/x", 1, SECRET.encode()),
            RawHttp([SECRET.encode()]),
            Fault(data=SECRET.encode()),
            kept,
            registry,
            platform,
            platform.record,
            platform.faults,
        ]
        shown = "\n".join(f"{thing!r} {thing}" for thing in things)
    assert "Unit(number=1" in shown and "Job(1 files" in shown and "Kept(" in shown
    assert secrets.seen_in(shown) == []
