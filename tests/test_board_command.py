"""The command `python -m tools.board`."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tools.image import build_image
from tools.iot_platform import LocalPlatform
from tools.layout import ROOT

COMMAND = [sys.executable, "-m", "tools.board"]


def run(*arguments: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def image(folder: Path, main: str) -> Path:
    path = folder / "flash.bin"
    path.write_bytes(build_image(boot=None, main=main, lib=None, roots=[]))
    return path


def test_piped_lines_are_typed_at_the_prompt(tmp_path: Path) -> None:
    flash = image(tmp_path, "print('ready')")
    done = run("--image", flash, "--folder", tmp_path / "b", typed="x = 20\nprint(x + 1)\n")
    assert done.returncode == 0, done.stderr
    assert "ready\n" in done.stdout
    assert ">>> print(x + 1)\n21\n" in done.stdout


def test_piped_ctrl_c_stops_main_py(tmp_path: Path) -> None:
    flash = image(tmp_path, "while True: pass")
    done = run("--image", flash, "--folder", tmp_path / "b", typed="\x03print('still here')\n")
    assert "KeyboardInterrupt" in done.stdout
    assert "\nstill here\n" in done.stdout


def test_device_json_is_kept_from_run_to_run(tmp_path: Path) -> None:
    product = tmp_path / "product.json"
    product.write_text(json.dumps({"productKey": "a1ExpAkj9Hi", "productSecret": "s3cret"}))
    place = ("--product", product, "--folder", tmp_path / "b", "--resolve", "*=127.0.0.1:1")
    learn = "\x03f = open('/device.json', 'w'); f.write('{}'); f.close()\n"
    look = "\x03import os; 'device.json' in os.listdir('/')\n"
    assert ">>> f = open" in run(*place, typed=learn).stdout
    kept = run(*place, typed=look).stdout
    assert "device.json of the last run is on the flash again" in kept
    assert "True\n" in kept
    assert "False\n" in run(*place, "--erase", typed=look).stdout


def test_errors_are_one_clear_line(tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    done = run("--product", missing)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {missing}: no such file")
    assert "Traceback" not in done.stderr
    flash = image(tmp_path, "")
    for option, value in (("--ntp", "never"), ("--resolve", "nonsense"), ("--mac", "12")):
        done = run("--image", flash, "--folder", tmp_path / "b", option, value)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert value in done.stderr


def read_until(terminal: int, pattern: str, seconds: float = 20) -> str:
    """Read the terminal until the pattern appears; fail after `seconds`."""
    text = ""
    deadline = time.monotonic() + seconds
    while not re.search(pattern, text):
        left = deadline - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], text
        text += os.read(terminal, 4096).decode()
    return text


def test_a_person_at_a_terminal_can_stop_type_reset_and_switch_off(tmp_path: Path) -> None:
    flash = image(tmp_path, "print('busy')\nwhile True: pass")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--image", flash, "--folder", tmp_path / "b"],
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        read_until(master, "busy\r\n")
        os.write(master, b"\x03")
        read_until(master, "KeyboardInterrupt(.|\\s)*>>> ")
        os.write(master, b"40 + 2\r")
        read_until(master, "\r\n42\r\n>>> ")
        os.write(master, b"\x04")
        read_until(master, "soft reboot\r\nbusy\r\n")
        os.write(master, b"\x18")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_a_serial_port_is_served_until_a_signal(tmp_path: Path) -> None:
    flash = image(tmp_path, "")
    port = tmp_path / "port"
    process = subprocess.Popen(
        [*COMMAND, "--image", flash, "--folder", tmp_path / "b", "--pty", port],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        mpremote = Path(sys.executable).with_name("mpremote")
        done = subprocess.run(
            [mpremote, "connect", port, "exec", "print('through')"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout == "through\n", done.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not port.is_symlink()
    finally:
        process.kill()
        process.communicate()


def test_the_real_host_names_lead_to_the_running_platform(
    tmp_path: Path, platform: LocalPlatform
) -> None:
    product = tmp_path / "product.json"
    secret = "ffFnFlKQW3HYjjPR"
    product.write_text(json.dumps({"productKey": "a1ExpAkj9Hi", "productSecret": secret}))
    root = tmp_path / "platform.der"
    root.write_bytes(platform.ca_der)
    place = ["--product", product, "--folder", tmp_path / "b", "--root", root]
    ports = ["--https-port", platform.https_port, "--mqtt-tls-port", platform.mqtt_tls_port]
    process = subprocess.Popen(
        [*COMMAND, *map(str, place), *map(str, ports)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    guard = threading.Timer(30, process.kill)
    guard.start()
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "connected as 246f28aabbcc" in line:
                break
        assert "connected as 246f28aabbcc" in said, said
        assert secret not in said
    finally:
        guard.cancel()
        process.terminate()
        process.communicate()
