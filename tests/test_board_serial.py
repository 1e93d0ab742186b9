"""The simulated board behind a serial port: the real mpremote works on it unmodified."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.board import Board
from tools.board.serial_port import SerialPort
from tools.image import build_image

MPREMOTE = Path(sys.executable).with_name("mpremote")
Remote = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[SerialPort]:
    """A board whose main.py never ends."""
    image = build_image(
        boot="print('boot')",
        main="print('main')\nimport time\nwhile True: time.sleep(1)",
        lib=None,
        roots=[],
    )
    with SerialPort(Board(image, tmp_path / "board")) as opened:
        yield opened
        assert opened.error is None


@pytest.fixture
def mpremote(port: SerialPort) -> Remote:
    def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [MPREMOTE, "connect", port.path, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


def test_exec_runs_code_on_the_board(mpremote: Remote) -> None:
    assert mpremote("exec", "import sys; print(sys.platform, 6 * 7)").stdout == "esp32 42\n"


def test_mpremote_fails_when_the_board_raises_an_exception(mpremote: Remote) -> None:
    assert "ZeroDivisionError" in mpremote("exec", "1/0", status=1).stdout


def test_files_are_copied_both_ways(mpremote: Remote, port: SerialPort, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    (tmp_path / "there.bin").write_bytes(content)
    mpremote("fs", "cp", tmp_path / "there.bin", ":/copied.bin")
    digest = mpremote("fs", "sha256sum", "/copied.bin").stdout
    assert hashlib.sha256(content).hexdigest() in digest
    mpremote("fs", "cp", ":/copied.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == content
    port.close()
    assert Board(None, tmp_path / "board").read("/copied.bin") == content


def test_listings_show_the_flash_and_nothing_of_the_simulator(mpremote: Remote) -> None:
    lines = mpremote("fs", "ls", "/").stdout.splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["boot.py", "build.json", "main.py"]


def test_mip_installs_a_local_package(mpremote: Remote, tmp_path: Path) -> None:
    package = {"urls": [["tool/one.py", "one.py"]], "version": "1.0.0"}
    (tmp_path / "package.json").write_text(json.dumps(package))
    (tmp_path / "one.py").write_text("x = 5\n")
    mpremote("mip", "install", tmp_path / "package.json")
    assert mpremote("exec", "import tool.one as t; print(t.__file__, t.x)").stdout == (
        "/lib/tool/one.py 5\n"
    )


def test_a_soft_reset_stays_in_the_raw_repl_and_does_not_run_main_py(mpremote: Remote) -> None:
    output = mpremote(
        "exec", "x = 1", "soft-reset", "resume", "exec",
        "import machine; print('x' in globals(), machine.reset_cause())",
    ).stdout  # fmt: skip
    assert output == "False 5\n"


def test_the_port_can_be_opened_again_and_again(mpremote: Remote) -> None:
    for number in range(3):
        assert mpremote("exec", f"print({number})").stdout == f"{number}\n"


def test_a_hard_reset_starts_main_py_again(mpremote: Remote) -> None:
    mpremote("reset")
    # Ctrl-C before main.py runs would end the boot and cause a soft reset.
    script = "import machine; print(machine.reset_cause())"
    output = mpremote("resume", "sleep", "1.5", "exec", script).stdout
    assert output == "2\n"


def test_the_clock_can_be_set(mpremote: Remote) -> None:
    assert mpremote("rtc").stdout.startswith("(2000, 1, 1,")
    mpremote("rtc", "--set")
    assert not mpremote("rtc").stdout.startswith("(2000,")
