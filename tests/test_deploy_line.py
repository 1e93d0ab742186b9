"""A slow or noisy line: log lines are filtered out, and a slow board is not reported as dead."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serial_boards import PlugIn, run_tool
from test_deploy import DEVICE, MAIN, package

from tools.board import Board
from tools.board.serial_port import SerialPort, link
from tools.deploy import DeployError, Mpremote, Plan, transfer
from tools.deploy.errors import DisturbedError
from tools.deploy.line import apart
from tools.deploy.mpremote import command, disturbed
from tools.image import build_image, image_files

LOG = "E (1234) wifi:sta is connecting, return error"
# boot.py of a board with slow renames, as on a chip with a full flash: its file system is wrapped
# in one that waits.
SLOW = """
import os, time, vfs
class Slow:
    def __init__(self, inner):
        self.inner = inner
    def __getattr__(self, name):
        return getattr(self.inner, name)
    def mount(self, readonly, mkfs):
        pass
    def umount(self):
        pass
    def rename(self, old, new):
        time.sleep({delay})
        if ({fails})(new):
            while True:
                time.sleep(1)
        self.inner.rename(old, new)
for mounted in vfs.mount():
    if mounted[1] == "/":
        vfs.umount("/")
        vfs.mount(Slow(mounted[0]), "/")
"""


@pytest.mark.parametrize(
    ("came", "left"),
    [
        ([LOG, "@@1"], ["@@1"]),
        (["@@[1," + LOG, "2]", "x"], ["@@[1,2]", "x"]),
        (["a" + LOG, LOG, "b"], ["ab"]),
        (["\x1b[0;31m" + LOG + "\x1b[0m", "x"], ["x"]),
        (["W (5) esp_netif_lwip: no address", "I (12) gpio: GPIO[0]", "x"], ["x"]),
        (["E is (no) log", "(12) E wifi:"], ["E is (no) log", "(12) E wifi:"]),
    ],
)
def test_firmware_log_lines_are_recognized_anywhere(came: list[str], left: list[str]) -> None:
    assert [line for line, is_log in apart(came) if not is_log] == left


@pytest.mark.parametrize("noise", [397, 701])
def test_answers_arrive_complete_over_a_noisy_line(tmp_path: Path, noise: int) -> None:
    image = build_image(lib=None, boot=None, main=None, roots=[], files={"/device.json": DEVICE})
    with SerialPort(Board(image, tmp_path / "board"), noise=noise) as port:
        link(port.path, tmp_path / "tty")
        run = run_tool("tools.deploy", "identity", "--port", tmp_path / "tty")
    assert run.status == 0, run.output
    assert "registered as SN-0042" in run.output
    assert LOG.partition(":")[2] not in run.output


def test_a_deployment_succeeds_over_a_noisy_line(tmp_path: Path) -> None:
    files = {path: content for path, content in package().items() if content is not None}
    files["/lib/aliyun_iot/hmac.mpy"] = b"of an older release"
    image = build_image(lib=None, boot=None, main=None, roots=[], files=files)
    main = tmp_path / "main.py"
    main.write_bytes(MAIN)
    board = Board(image, tmp_path / "board")
    with SerialPort(board, noise=2003) as port:
        link(port.path, tmp_path / "tty")
        words = ("--port", tmp_path / "tty", "--no-follow", "--main", main)
        run = run_tool("tools.deploy", *words)
    assert run.status == 0, run.output
    assert board.read("/lib/aliyun_iot/hmac.mpy") == image_files()["/lib/aliyun_iot/hmac.mpy"]


def test_the_line_can_be_as_slow_as_a_real_one(tmp_path: Path) -> None:
    image = build_image(lib=None, boot=None, main=None, roots=[])
    with SerialPort(Board(image, tmp_path / "board"), baud=115200) as port:
        link(port.path, tmp_path / "tty")
        with Mpremote(str(tmp_path / "tty")) as remote:
            started = time.monotonic()
            lines = remote.run(["exec", "print('x'*5760)"])
            took = time.monotonic() - started
    assert lines == ["x" * 5760]
    assert took >= 5760 * 10 / 115200  # ten bits to a byte


def test_a_line_for_each_rename_keeps_a_slow_board_from_timing_out(plug_in: PlugIn) -> None:
    """Eight renames take longer than the board may be silent, but each one takes less."""
    boot = SLOW.format(delay=0.4, fails="lambda path: False").encode()
    board = plug_in({"/boot.py": boot})
    files = {f"/{number}.txt": bytes([48 + number]) for number in range(8)}
    told: list[tuple[int, int]] = []
    with Mpremote(board.port) as remote:
        plan = Plan(files, (), 0)
        transfer(remote, plan, on_installed=lambda *at: told.append(at), stalled=2.5)
    assert {path: board.read(path) for path in files} == files
    assert told[0] == (1, 8) and told[-1] == (8, 8)


def test_a_board_that_stops_midway_is_reported_as_partly_installed(
    plug_in: PlugIn,
) -> None:
    boot = SLOW.format(delay=0, fails="lambda path: path == '/3.txt'").encode()
    board = plug_in({"/boot.py": boot})
    files = {f"/{number}.txt": b"x" for number in range(6)}
    with Mpremote(board.port) as remote, pytest.raises(DeployError) as caught:
        transfer(remote, Plan(files, (), 0), stalled=2)
    assert "3 of 6 steps of the installation were done; run it again" in str(caught.value)
    assert board.read("/2.txt") == b"x"


def test_an_interrupted_installation_can_be_run_again(plug_in: PlugIn) -> None:
    board = plug_in({"/a": b"new", "/b.part": b"new", "/b": b"old"})
    given = {"remove": [], "rename": [["/a.part", "/a"], ["/b.part", "/b"]], "after": ["/gone"]}
    with Mpremote(board.port) as remote:
        assert remote.ask("install", given) == ["/a", "/b", "/gone", 0]
    assert (board.read("/a"), board.read("/b")) == (b"new", b"new")


def explained(said: str, sent: bytes = b"") -> str:
    with Mpremote("/dev/null") as remote:
        if sent:
            remote.file(sent)
        return remote._scrubbed(remote._explain(said))


def test_the_last_line_of_mpremote_is_reported_without_secrets() -> None:
    secret = "mNq8VwZr4TcY1bLk"
    sent = json.dumps({"networks": [{"password": secret}]}).encode()
    said = f"{LOG}\nmpremote: cannot copy {secret}: no such file\nE (77) wifi:bye"
    assert explained(said, sent) == "/dev/null: mpremote: cannot copy ***: no such file"


def test_line_noise_is_distinguished_from_an_exception_on_the_board() -> None:
    assert disturbed("mpremote.transport.TransportError: unexpected read during raw paste: b'x'")
    assert disturbed("ValueError: malformed node or string on line 1")
    assert not disturbed('Traceback:\n  File "<stdin>", line 3\nValueError: invalid literal')
    assert not disturbed("mpremote: could not enter raw repl")
    assert disturbed("mpremote: could not enter raw repl", noisy=True)


def test_a_garbled_answer_is_requested_again(
    plug_in: PlugIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = plug_in({"/a": b"1"})
    with Mpremote(board.port) as remote:
        given: dict[str, list[str]] = {"folders": [], "hash": []}
        told = remote.answers
        tries: list[int] = []

        def garbled(lines: list[str]) -> list[object]:
            if not tries:
                tries.append(1)
                raise DisturbedError("garbled")
            return told(lines)

        monkeypatch.setattr(remote, "answers", garbled)
        assert remote.ask("state", given)[-1] == ["end", 0]


def test_mpremote_ends_with_the_program_that_started_it(plug_in: PlugIn) -> None:
    """Otherwise it would block the port for the next run, and continue to write."""
    board = plug_in({"/main.py": b"pass"})
    code = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({[*command(), 'connect', board.port, 'resume', 'exec']!r} + "
        "['import time; time.sleep(60)'], stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(p.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(child)


def runs(process: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
