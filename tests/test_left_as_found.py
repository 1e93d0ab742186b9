"""boot.py and every call leave the application's interpreter as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tools.faults.bench import Bench
from tools.layout import ROOT

GUARD = 30
SEEN = """
import builtins, gc, os, sys

def state():
    gc.collect()
    return {
        "gc.threshold": gc.threshold(),
        "gc.isenabled": gc.isenabled(),
        "sys.path": list(sys.path),
        "sys.argv": list(sys.argv),
        "os.getcwd": os.getcwd(),
        "builtins": sorted(dir(builtins)),
        "modules": sorted(n for n in sys.modules if n.partition(".")[0] != "aliyun_iot"),
    }

found = state()

def check(where, expected=()):
    now = state()
    wrong = [name for name in now if now[name] != found[name] and name not in expected]
    print("CHECKED", where, wrong or "as found")
"""
BOOT = "import seen\n" + (ROOT / "boot.py").read_text("utf-8")
NAMES = "sorted(set(globals()) - {'seen', '__name__', '__file__'})"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


def said(bench: Bench, main: str, **image: Any) -> list[str]:
    """The output of the checks in a program."""
    files = {"/seen.py": SEEN}
    built = bench.image(boot=BOOT, main=main, files=files, **image)
    board = bench.board(built)
    with board.power_on() as session:
        assert session.wait("^OVER", GUARD) == "until", session.output
    lines = session.output.splitlines()
    return [line.removeprefix("CHECKED ") for line in lines if line.startswith("CHECKED ")]


def test_boot_py_leaves_the_interpreter_unchanged(bench: Bench) -> None:
    main = f"print('CHECKED names', {NAMES})\nseen.check('boot.py')\nprint('OVER')\n"
    assert said(bench, main) == ["names []", "boot.py as found"]


def test_the_time_server_of_the_firmware_is_restored(bench: Bench) -> None:
    main = "import ntptime\nprint('CHECKED', ntptime.host)\nprint('OVER')\n"
    wifi = {"ssid": "bench", "password": "correct horse", "ntpHost": "time.example"}
    assert said(bench, main, wifi=wifi) == ["pool.ntp.org"]


def test_each_call_in_the_applications_own_loop_leaves_it_unchanged(bench: Bench) -> None:
    main = """
from aliyun_iot.device import Device
from aliyun_iot import IotError
device = Device.load(); seen.check("load")
device.register(); seen.check("register")
device.credentials(); seen.check("credentials")
device.login(); seen.check("login")
session = device.connect(); seen.check("connect")
topic = session.topic("thing/event/property/post")
session.publish(topic, b'{"id":"1","params":{}}'); seen.check("publish")
session.publish(topic, b'{"id":"2","params":{}}', qos=1); seen.check("publish, QoS 1")
session.subscribe(session.topic("user/get")); seen.check("subscribe")
session.wait(2000); seen.check("wait")
session.check_msg(); seen.check("check_msg")
session.close(); seen.check("close")
session.port = 1
try:
    device.connect()
except IotError:
    seen.check("a failed connect")
Device.open(); seen.check("open")
print("OVER")
"""
    told = said(bench, main)
    assert len(told) == 13
    assert [line for line in told if not line.endswith(" as found")] == []


@pytest.mark.parametrize("which", ["device", "aio"])
def test_callbacks_find_the_interpreter_unchanged(bench: Bench, which: str) -> None:
    main = (
        f"from aliyun_iot import {which}\n"
        # With aio, the application has loaded asyncio.
        f"expected = {('modules',) if which == 'aio' else ()}\n"
        "def on_connect(session):\n"
        "    seen.check('on_connect', expected)\n"
        "    topic = session.topic('thing/event/property/post')\n"
        '    return session.publish(topic, b\'{"id":"1","params":{}}\')\n'
        "def on_message(session, topic, payload):\n"
        "    seen.check('on_message', expected)\n"
        "def on_idle(session):\n"
        "    seen.check('on_idle', expected)\n"
        "    raise KeyError\n"
        "try:\n"
        f"    result = {which}.run(on_connect, on_message, on_idle)\n"
        "    if result:\n        import asyncio\n        asyncio.run(result)\n"
        "except KeyError:\n"
        "    seen.check('run', expected)\n"
        "print('OVER')\n"
    )
    told = said(bench, main)
    assert told[0] == "on_connect as found"
    assert told[-2:] == ["on_idle as found", "run as found"]
    assert [line for line in told if not line.endswith(" as found")] == []
