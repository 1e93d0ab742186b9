"""`python -m tools.iot_platform device ...`: on a running platform, or on its database."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS, post, registration_form
from platform_process import Running

from tools.iot_platform import Identity, LocalPlatform
from tools.iot_platform.__main__ import main
from tools.iot_platform.console.place import NAME, Place
from tools.iot_platform.console.server import ConsoleSettings

DN = "246f28aabbcc"
DEVICE = f"{PK}/{DN}"


class Commands:
    """Runs commands in this process, as the command line does."""

    def __init__(self, capsys: pytest.CaptureFixture[str], database: Path) -> None:
        self._capsys = capsys
        self.database = database

    def __call__(self, *words: str | Path, status: int = 0) -> str:
        """The standard output of a command."""
        out, err = self.run(*words, status=status)
        assert err == ""
        return out

    def run(self, *words: str | Path, status: int = 0) -> tuple[str, str]:
        """The standard output and standard error of a command."""
        assert main([*map(str, words), "--database", str(self.database)]) == status
        captured = self._capsys.readouterr()
        return captured.out.rstrip("\n"), captured.err.rstrip("\n")

    def error(self, *words: str | Path) -> str:
        """The error message of a command that must fail."""
        out, err = self.run(*words, status=1)
        assert out == "" and "Traceback" not in err
        return err.removeprefix("error: ")


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "registry.db")


@pytest.fixture
def running(commands: Commands, hub: LocalPlatform) -> LocalPlatform:
    """A platform that the commands find through a file next to their database."""
    Place(hub.console_url).write(commands.database.with_name(NAME))
    return hub


def test_commands_lead_from_a_new_product_to_an_online_device(
    commands: Commands, running: LocalPlatform, tmp_path: Path
) -> None:
    assert commands("product", "add", "a1New").startswith("added a1New ")
    assert commands("product", "switch", "a1New", "off") == "dynamic registration of a1New is off"
    assert "a1New                device   0 devices, dynamic registration off" in commands(
        "product", "list"
    )
    added = commands("device", "add", DEVICE, f"{PK}/another")
    assert added == f"added {DEVICE}\nadded {PK}/another"
    assert "offline, never registered" in commands("device", "list", "--product", PK)
    post(running, registration_form(DN))
    secret = commands("device", "secret", DEVICE)
    assert secret == running.registry.device(PK, DN).device_secret
    with MqttClient(running) as client:
        assert client.connect_device(PK, DN, secret) == 0
        assert commands("device", "list", "--connection", "online").split()[0] == DEVICE
        assert commands("publish", DEVICE, f"/sys/{DEVICE}/a", "some text") == "sent"
        assert client.message() == (f"/sys/{DEVICE}/a", b"some text")
        assert commands("device", "disconnect", DEVICE) == f"{DEVICE} disconnected"
        assert client.receive() is None
    assert commands("device", "reset", DEVICE) == f"{DEVICE} may register again"
    assert commands("device", "disable", DEVICE) == f"{DEVICE} disabled"
    assert "disabled" in commands("device", "show", DEVICE)
    assert commands("device", "delete", DEVICE, f"{PK}/another").count("deleted") == 2
    assert "some text" in commands("events", "-n", "100")
    assert commands("status").splitlines()[0] == "products          4"


def test_faults_are_switched_on_and_off(commands: Commands, running: LocalPlatform) -> None:
    commands("device", "add", DEVICE)
    assert commands("fault", "on", DEVICE, "refuse", "--code", "6289", "--times", "always") == (
        f"{DEVICE} refuse, until switched off, code 6289"
    )
    assert post(running, registration_form(DN)).json["code"] == 6289
    assert "what to do     A fault switch did this" in commands("device", "show", DEVICE)
    assert commands("fault", "list").split()[0] == DEVICE
    assert commands("fault", "off", DEVICE) == f"{DEVICE} no faults are on"
    assert post(running, registration_form(DN)).json["code"] == 200
    refused = commands("events", "--device", DEVICE, "--refused").splitlines()
    assert "6289" in refused[0] and "fault switch: refuse" in refused[0]
    assert not any(" 200 " in line for line in refused)


def test_a_list_is_imported(commands: Commands, running: LocalPlatform, tmp_path: Path) -> None:
    path = tmp_path / "preregister.csv"
    path.write_text("DeviceName,Nickname\nunit-1,\nunit-2,\n")
    assert commands("device", "import", PK, path) == "added 2 devices"
    assert commands("device", "import", PK, path) == "added 0 devices, 2 were there already"

    path.write_text("DeviceName\nunit-3\nb b\nccc\n")
    said = commands.error("device", "import", PK, path).splitlines()
    assert said[0].startswith(f"{path}: csv: line 3: DeviceName: expected")
    assert said[1].startswith("  line 4: DeviceName: expected")
    path.write_bytes(b"DeviceName\n\xff\xfe")
    assert commands.error("device", "import", PK, path) == f"{path}: not UTF-8"


def test_secrets_come_from_files(
    commands: Commands, running: LocalPlatform, tmp_path: Path
) -> None:
    product, secret = tmp_path / "product.json", tmp_path / "secret"
    product.write_text(json.dumps({"productKey": "a1Own", "productSecret": "itsSecret"}))
    secret.write_text("deviceSecret1\n")
    commands("product", "add", "--file", product)
    commands("device", "add", "a1Own/unit-1", "--secret-file", secret)

    assert commands("product", "secret", "a1Own") == "itsSecret"
    assert commands("device", "secret", "a1Own/unit-1") == "deviceSecret1"


def test_output_can_be_json(commands: Commands, running: LocalPlatform) -> None:
    made = json.loads(commands("device", "add", DEVICE, "--json"))
    assert made["identity"] == "never registered"
    assert json.loads(commands("device", "list", "--json"))[0]["deviceName"] == DN


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["device", "show", f"{PK}/nobody"], f"deviceName: no device {PK}/nobody"),
        (["device", "add", "nothing/unit-1"], "productKey: no product nothing"),
        (["device", "add", f"{PK}/a"], "deviceName: expected 4 to 32"),
        (["device", "list", "--product", "nothing"], "productKey: no product nothing"),
        (["device", "import", PK, "missing.csv"], "missing.csv: No such file"),
        (["product", "add", "--file", "missing.json"], "missing.json: No such file"),
        (["product", "secret", "nothing"], "productKey: no product nothing"),
        (["events", "-n", "0"], "-n: expected 1 to 200"),
        (
            ["status", "--console", "http://127.0.0.1:1/"],
            ":1/: Connection refused",
        ),
        (["status", "--console", "ftp://x/"], "'ftp://x/': expected the URL"),
        (["status", "--console", "missing"], "missing: No such file"),
        (["status", "--console", __file__], "not what a running platform writes there"),
    ],
)
def test_a_wrong_command_says_why(
    commands: Commands, running: LocalPlatform, words: list[str], message: str
) -> None:
    assert message in commands.error(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["device"],
        ["device", "add"],
        ["device", "add", "no-slash"],
        ["device", "fly", DEVICE],
        ["fault", "on", DEVICE, "fire"],
        ["fault", "on", DEVICE, "lost", "--times", "-1"],
    ],
)
def test_an_invalid_command_shows_the_usage(
    commands: Commands, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        commands.run(*words)
    assert "usage: " in capsys.readouterr().err


def test_text_from_a_device_cannot_control_the_terminal(
    commands: Commands, running: LocalPlatform
) -> None:
    running.registry.add_device(PK, DN)
    evil = "\x1b[2J\r\n"
    running.record.add("publish", (PK, DN), 403, payload=evil.encode(), topic=evil, reason=evil)
    running.record.add("register", (evil, evil), 460, via=evil)

    shown = [commands(*words) for words in (["events"], ["device", "show", DEVICE])]
    shown.append(commands("device", "list"))
    assert all(line.isprintable() for text in shown for line in text.split("\n"))


# While no platform runs


def test_without_a_platform_commands_work_on_the_database(commands: Commands) -> None:
    notice = f"no platform is running: working on {commands.database}"
    assert commands.run("product", "add", PK)[1] == notice
    commands.run("device", "add", DEVICE)
    commands.run("fault", "on", DEVICE, "lost")
    assert commands.run("publish", DEVICE, "/a", "x", status=1)[1] == (
        f"{notice}\nerror: publish: no platform is running; start one with `make platform`"
    )
    commands.run("device", "disable", DEVICE)

    with LocalPlatform(database=commands.database, console=ConsoleSettings()) as platform:
        assert platform.registry.device(PK, DN).disabled
        assert [switch.fault for switch in platform.switches.of(Identity(PK, DN))] == ["lost"]
        assert [e.details["what"] for e in platform.record.events("admin")] == []


def test_the_file_of_a_killed_platform_is_ignored(commands: Commands) -> None:
    Place("http://127.0.0.1:1/").write(commands.database.with_name(NAME))

    assert "no platform is running" in commands.run("product", "add", PK)[1]


def test_a_platform_in_another_process_is_found(
    start_platform: type[Running], commands: Commands, tmp_path: Path
) -> None:
    folder = ("--certificates", tmp_path)
    first = start_platform("--database", commands.database, *folder)
    url = first.wait_for(r"^console: (http://127\.0\.0\.1:\d+/)$")[1]
    first.wait_for("help")
    place = commands.database.with_name(NAME)
    assert Place.read(place).url == url
    assert place.stat().st_mode & 0o077 == 0
    commands("product", "add", PK)
    commands("device", "add", DEVICE)
    first.wait_for(f"{DEVICE} what=add")
    first.type("quit")
    assert first.end() == 0
    assert not place.exists()

    second = start_platform("--database", commands.database, *folder)
    second.wait_for("1 product")
    second.type("devices")
    second.wait_for(f"{DEVICE} .*offline, never registered")


def test_a_port_in_use_is_named(start_platform: type[Running]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = start_platform("--memory", "--console-port", f"{port}")
        refused.wait_for(f"console port 127.0.0.1:{port}: Address already in use")

        assert refused.end() == 2


def test_the_ready_line_gives_the_address(start_platform: type[Running]) -> None:
    with_one = start_platform("--memory", "--json")
    ready = json.loads(with_one.wait_for(r"^\{.*\}$")[0])
    assert ready["console"].startswith("http://127.0.0.1:")
    without = start_platform("--memory", "--json", "--no-console")
    assert json.loads(without.wait_for(r"^\{.*\}$")[0])["console"] == ""
    without.wait_for("help")
    assert "console: " not in without.output


def test_beyond_loopback_the_console_needs_a_token_file(
    start_platform: type[Running], commands: Commands, tmp_path: Path
) -> None:
    words = ("--console", "0.0.0.0", "--certificates", tmp_path)
    refused = start_platform("--memory", "--console", "0.0.0.0")
    refused.wait_for("name a --console-token file")
    assert refused.end() == 2

    running = start_platform("--database", commands.database, *words)
    assert running.wait_for(r"^console: (https://localhost:\d+/)$")
    running.wait_for(f"the token in {tmp_path / 'console.token'}")
    running.wait_for("help")
    token = (tmp_path / "console.token").read_text().strip()
    assert commands("product", "list") == "no products; `product add` adds one"
    url = Place.read(commands.database.with_name(NAME)).url
    assert "CERTIFICATE_VERIFY_FAILED" in commands.error("status", "--console", url)
    running.type("quit")
    assert running.end() == 0
    assert token not in running.output


def test_only_the_secret_command_prints_the_product_secret(
    commands: Commands, running: LocalPlatform
) -> None:
    shown = [
        commands(*words)
        for words in (["product", "list"], ["product", "list", "--json"], ["events", "--json"])
    ]
    assert commands("product", "secret", PK) == PS
    shown.append(commands("events", "-n", "200"))
    assert not [text for text in shown if PS in text]
