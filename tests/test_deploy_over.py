"""Installing over existing files: what is kept and removed is announced; the gateway option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool
from test_deploy import DEVICE, MAIN, package

from tools.arguments import board_files
from tools.deploy import Mpremote, read_state
from tools.deploy.arguments import deploy_parser
from tools.image import image_files
from tools.image.gateway import FOLDER, chosen, imports_gateway, without_gateway
from tools.image.records import FOLDER as RECORDS

COPYING = "  /"
"""The start of a line that names a copied file."""


def deploy(port: str, *arguments: str | Path) -> tuple[int, str]:
    run = run_tool("tools.deploy", "--port", port, "--no-follow", *arguments)
    return run.status, run.output


def test_an_installation_announces_its_changes_first(plug_in: PlugIn, tmp_path: Path) -> None:
    """An older release, another umqtt in /lib, the application's own files."""
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    old = {
        "/main.py": b"# somebody's own\n",
        "/lib/aliyun_iot/hmac.mpy": b"of an older release",
        "/lib/aliyun_iot/clock.mpy": b"of an older release",
        "/build.json": b'{"time":0,"version":"0.0.9"}',
    }
    own = {
        "/data/readings.csv": b"1,2\n",
        "/settings.json": b"{}",
        "/lib/sensor.py": b"x = 1\n",
        "/lib/umqtt/simple.py": b"# of mip\n",
        "/device.json": DEVICE,
    }
    board = plug_in({**package(), **old, **own})
    status, output = deploy(board.port, "--main", main)
    assert status == 0, output
    before = output[: output.index(f"\n{COPYING}")]
    assert "the package there is 0.0.9" in before
    assert "replaces /main.py" in before
    assert "will remove /lib/aliyun_iot/clock.mpy: not of this release" in before
    kept = ("/settings.json", "/lib/sensor.py", "/lib/umqtt/simple.py", "/device.json", "/data/")
    for path in kept:
        assert path in before.partition("  keeps ")[2]
    assert "note: /lib/umqtt is on the board" in before
    assert {path: board.read(path) for path in own} == own
    assert board.read("/lib/aliyun_iot/clock.mpy") is None


@pytest.mark.parametrize("path", ["/aliyun_iot/__init__.py", "/aliyun_iot.py", "/umqtt/simple.py"])
def test_a_file_that_hides_the_package_is_noted(
    plug_in: PlugIn, tmp_path: Path, path: str
) -> None:
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    board = plug_in({**package(), path: b"x = 1\n"})
    _, output = deploy(board.port, "--main", main)
    assert "it hides" in output
    assert board.read(path) == b"x = 1\n"


# --- the gateway

GATEWAY = f"{FOLDER}__init__.mpy"
FLAT = "/lib/aliyun_iot/gateway.mpy"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (b"from aliyun_iot import device\n", False),
        (b"import aliyun_iot.gateway\n", True),
        (b"from aliyun_iot import device, gateway\n", True),
        (b"from aliyun_iot.gateway import Gateway\n", True),
        (b"def f():\n    from aliyun_iot.gateway.topology import add\n", True),
        (b"x = __import__('aliyun_iot.gateway')\n", True),
        (b"# from aliyun_iot import gateway\ngateway = 'aliyun_iot.gateway'\n", False),
        (b"from aliyun_iot import gateways\n", False),
    ],
)
def test_an_application_that_imports_the_gateway_is_recognized(
    source: bytes, wanted: bool
) -> None:
    assert imports_gateway(source) is wanted


def test_the_gateway_is_left_out_unless_it_is_needed() -> None:
    files = {"/main.py": b"pass", GATEWAY: b"1", "/lib/aliyun_iot/device.mpy": b"2"}
    assert GATEWAY not in chosen(files, None)
    assert GATEWAY in chosen(files, True)
    files["/main.py"] = b"from aliyun_iot import gateway"
    assert GATEWAY in chosen(files, None)
    assert GATEWAY not in chosen(files, False)
    assert set(files) - set(chosen(files, False)) == {GATEWAY}


def folders_of(port: str) -> set[str]:
    """The folders below /lib of a board."""
    with Mpremote(port) as remote:
        return set(read_state(remote, ["/lib"], []).folders)


@pytest.fixture
def with_gateway(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Add a gateway sub-package with this content to the files of the package."""
    content = image_files(roots=None)["/lib/aliyun_iot/device.mpy"]

    def made(*arguments: object, **options: object) -> dict[str, bytes]:
        return {**image_files(*arguments, **options), GATEWAY: content}  # type: ignore[arg-type]

    monkeypatch.setattr("tools.arguments.image_files", made)
    return content


@pytest.mark.parametrize(
    ("on_board", "option", "left"),
    [
        (None, None, None),
        (None, "--gateway", "new"),
        (GATEWAY, None, "new"),
        (FLAT, None, "new"),
        (GATEWAY, "--gateway", "new"),
        (GATEWAY, "--no-gateway", None),
    ],
)
def test_a_board_with_the_gateway_gets_the_gateway_of_this_release(
    plug_in: PlugIn,
    tmp_path: Path,
    with_gateway: bytes,
    monkeypatch: pytest.MonkeyPatch,
    on_board: str | None,
    option: str | None,
    left: str | None,
) -> None:
    from rich.console import Console

    from tools.deploy.install import deploy as install

    monkeypatch.setenv(RECORDS, str(tmp_path / "none"))
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    old = {on_board: b"of an older release", f"{FOLDER}gone.mpy": b"too"} if on_board else {}
    if on_board == FLAT:
        del old[f"{FOLDER}gone.mpy"]
    board = plug_in({**without_gateway(package()), **old})
    words = ["--port", board.port, "--main", str(main), "--no-follow"]
    arguments = deploy_parser().parse_args([*words, option] if option else words)
    console = Console(record=True, width=200)
    assert install(arguments, console) == 0
    assert board.read(GATEWAY) == (with_gateway if left else None)
    assert board.read(f"{FOLDER}gone.mpy") is None
    folder = GATEWAY.rpartition("/")[0]
    assert (folder in folders_of(board.port)) == (left is not None)
    noted = "the board has the gateway and keeps it" in console.export_text()
    assert noted == (on_board is not None and option is None)


def test_a_board_without_trust_roots_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools.arguments import remarks

    monkeypatch.setenv(RECORDS, str(tmp_path))
    bare = deploy_parser().parse_args(["--no-shipped-roots"])
    (note,) = remarks(bare, board_files(bare))
    assert "no trust root at all" in note and "--root" in note
    usual = deploy_parser().parse_args([])
    assert remarks(usual, board_files(usual)) == []


def test_the_records_come_from_the_folder_in_the_variable(plug_in: PlugIn, tmp_path: Path) -> None:
    """The tests need this: the user's own records are in the root."""
    (tmp_path / "wifi.json").write_text(json.dumps({"ssid": "elsewhere"}))
    board = plug_in(package())
    words = ("--port", board.port, "--no-follow")
    run = run_tool("tools.deploy", *words, variables={RECORDS: str(tmp_path)})
    assert run.status == 0, run.output
    assert json.loads(board.read("/wifi.json") or b"") == {"ssid": "elsewhere"}
