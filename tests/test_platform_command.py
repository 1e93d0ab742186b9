"""`python -m tools.iot_platform`: options, commands, the log, clean ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from platform_clients import PK, PS
from platform_process import DEADLINE, DN, FREE_PORTS, Running
from rich.console import Console

from tools.iot_platform import Event, LocalPlatform
from tools.iot_platform.process.commands import Commands
from tools.iot_platform.process.live_log import LiveLog, line
from tools.layout import ROOT


def test_tells_when_it_is_ready_and_takes_commands(
    start_platform: type[Running], products: Path
) -> None:
    running = start_platform("--memory", "--product", products, "--json")
    ready = json.loads(running.wait_for(r"^\{.*\}$")[0])
    running.wait_for("ready on 127.0.0.1")
    running.type(f"publish {PK}/{DN} /sys/{PK}/{DN}/x hello")
    running.wait_for(f"undelivered {PK}/{DN}.*offline")
    running.type("quit")

    assert set(ready["ports"]) == {"https", "mqtt-tls", "mqtt-tcp"}
    assert running.end() == 0
    assert "Warning" not in running.output
    assert PS not in running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_quietly_on_a_signal(start_platform: type[Running], number: signal.Signals) -> None:
    running = start_platform("--memory")
    running.wait_for("ready")
    running.process.send_signal(number)

    assert running.end() == 0
    assert "Traceback" not in running.output


def test_runs_on_without_input(start_platform: type[Running]) -> None:
    running = start_platform("--memory")
    running.wait_for("ready")
    assert running.process.stdin is not None
    running.process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        running.process.wait(0.5)
    running.process.terminate()

    assert running.end() == 0


def test_keeps_registry_and_ca_in_the_places_it_is_given(
    start_platform: type[Running], products: Path, tmp_path: Path
) -> None:
    places: list[str | Path] = ["--database", tmp_path / "db" / "r.db"]
    places += ["--certificates", tmp_path / "ca"]
    first = start_platform(*places, "--product", products, "--device", f"{PK}/another1")
    first.wait_for("3 product")
    first.type("quit")
    assert first.end() == 0
    root = (tmp_path / "ca" / "ca.der").read_bytes()

    second = start_platform(*places, "--product", products)
    second.wait_for("3 product")
    second.type("devices")
    second.wait_for(f"{PK}/another1 .*offline, never registered, 0 registrations")
    assert (tmp_path / "ca" / "ca.der").read_bytes() == root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "nonsense"], "'nonsense': expected PRODUCTKEY/DEVICENAME"),
        (["--device", f"{PK}/{DN}"], f"no product {PK}"),
        (["--product", "missing.json"], "missing.json: No such file"),
        (["--behaviour", "nonsense=1"], "'nonsense=1': expected FIELD=VALUE"),
        (["--https-port", "70000"], "'70000': expected a port from 0 to 65535"),
        (["--listen", "192.0.2.1"], "https port 192.0.2.1:0: "),
    ],
)
def test_says_what_is_wrong_with_its_options(arguments: list[str], message: str) -> None:
    assert message in refused("--memory", *arguments)


def test_says_which_of_its_files_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"no database" * 100)
    (tmp_path / "ca.key").write_text("no key")
    (tmp_path / "ca.pem").write_text("no certificate")

    assert f"{path}: file is not a database" in refused(
        "--database", path, "--certificates", tmp_path / "ca"
    )
    assert f"{tmp_path}: unable to open" in refused(
        "--database", tmp_path, "--certificates", tmp_path / "ca"
    )
    assert f"{tmp_path}: ca.pem or ca.key cannot be read" in refused(
        "--certificates", tmp_path, "--database", tmp_path / "good.db"
    )


def refused(*arguments: str | Path) -> str:
    """Starts a platform that must not start; what it says on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.iot_platform", *FREE_PORTS, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("1", "expected an object or a list"),
        ("{}", "productKey: expected a non-empty string"),
        ('{"productKey": "a b"}', "ProductKey: expected"),
        ('{"productKey": "a", "productSecret": 1}', "productSecret: expected a non-empty string"),
        ('{"productKey": "a", "nodeType": "x"}', "node type: expected"),
        ('{"productKey": "a", "dynamicRegistration": 1}', "dynamicRegistration: expected true"),
        ('{"productKey": "a", "devices": 1}', "devices: expected a list"),
        ('{"productKey": "a", "devices": [1]}', "devices: expected names"),
        ('{"productKey": "a", "devices": ["x"]}', "number 1: DeviceName: expected"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with LocalPlatform() as platform:
        answer = Commands(platform).run(f"add-product {path}")

    assert answer.startswith(f"{path}: ")
    assert message in answer


def test_serves_a_further_instance(start_platform: type[Running], products: Path) -> None:
    running = start_platform(
        "--memory", "--product", products, "--json", "--instance", "iot-060a1234"
    )
    ready = json.loads(running.wait_for(r"^\{.*\}$")[0])
    running.wait_for("instance iot-060a1234: MQTT over TLS [0-9]+, MQTT [0-9]+")
    running.type(f"move {PK}/{DN} iot-060a1234")
    running.wait_for("belongs to iot-060a1234 now; it is offline")
    running.type("quit")

    ports = {*ready["ports"].values(), *ready["instances"]["iot-060a1234"].values()}
    assert len(ports) == 5
    assert running.end() == 0


@pytest.mark.parametrize("instance", ["default", "a b", "x:1", "x:1:70000"])
def test_refuses_an_instance_that_cannot_be(instance: str) -> None:
    assert f"error: instance {instance!r}: " in refused("--instance", instance)


# The log


def test_what_a_device_wrote_cannot_command_the_terminal() -> None:
    event = Event(
        1, 0.0, "publish", "a1ExpAkj9Hi", "\x1b]0;x\x07", 200, {"topic": "/a\x1b[2J\r\n"}
    )

    shown = line(event)
    assert shown.isprintable()
    assert "\\x1b[2J\\r\\n" in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_topic_can_be_shown_in_any_encoding(encoding: str) -> None:
    written = io.BytesIO()
    file = io.TextIOWrapper(written, encoding=encoding, newline="")
    LiveLog(Console(file=file), verbose=False).show(
        Event(1, 0.0, "publish", "a1ExpAkj9Hi", "Example_dyn1", 200, {"topic": "/\u6e29\ud800"})
    )
    assert written.getvalue().endswith(b"\n")
