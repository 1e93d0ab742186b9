"""The simulated board behaves like the chip: scripts, REPL, resets, module search."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interpreters import needs_own

from tools.board import Board
from tools.image import build_image
from tools.layout import ROOT


def make_board(
    folder: Path, boot: str = "", main: str = "", files: dict[str, bytes | str] | None = None
) -> Board:
    image = build_image(boot=boot, main=main, lib=None, roots=[], files=files)
    return Board(image, folder, mac="24:6F:28:AA:BB:CC")


def first_line(output: str) -> str:
    return output.partition("\n")[0]


def test_boot_py_runs_before_main_py_in_one_namespace(tmp_path: Path) -> None:
    run = make_board(tmp_path, "print('boot'); x = 5", "print('main', x)").boot()
    assert run.output.startswith("boot\nmain 5\n")
    assert run.ending == "repl"


def test_scripts_start_in_an_empty_namespace(tmp_path: Path) -> None:
    run = make_board(tmp_path, "print(__name__, sorted(globals()))").boot(r"\n")
    assert run.output.startswith("__main__ ['__name__']\n")


def test_the_image_is_the_root_of_the_file_system(tmp_path: Path) -> None:
    board = make_board(
        tmp_path,
        "import os, vfs; print(os.getcwd(), sorted(os.listdir('/')), os.listdir('/data'))",
        files={"/data/a.txt": "x"},
    )
    output = board.boot(r"\n").output
    assert first_line(output) == "/ ['boot.py', 'build.json', 'data', 'main.py'] ['a.txt']"


def test_files_that_the_board_writes_are_on_the_image(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="with open('new.txt', 'w') as f: f.write('kept')")
    assert board.boot().ending == "repl"
    assert board.read("/new.txt") == b"kept"
    assert board.files()["/new.txt"] == 4


def test_the_board_sees_files_that_the_host_writes(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="print(open('/sub/x').read())")
    board.write("/sub/x", b"from the host")
    assert "from the host\n" in board.boot().output
    board.write("/sub/x", None)
    assert "ENOENT" in board.boot().output


def test_a_board_without_scripts_reaches_the_repl(tmp_path: Path) -> None:
    board = Board(build_image(boot=None, main=None, lib=None, roots=[]), tmp_path)
    assert board.boot(timeout=10).ending == "repl"


def test_until_cuts_the_power_at_once(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="import time\nprint('here')\ntime.sleep(60)")
    run = board.boot(until="^here$", timeout=20)
    assert run.ending == "until"
    assert run.seconds < 10


def test_a_board_that_never_ends_is_cut_off_at_the_timeout(tmp_path: Path) -> None:
    run = make_board(tmp_path, main="while True: pass").boot(timeout=0.3)
    assert run.ending == "timeout"
    assert 0.3 <= run.seconds < 5


# --- where modules come from

FIRMWARE = "print('from flash')"


def test_sys_path_is_that_of_the_chip(tmp_path: Path) -> None:
    output = make_board(tmp_path, "import sys; print(sys.path)").boot(r"\n").output
    first, *frozen, last = re.findall(r"'([^']*)'", output)
    assert (first, last) == ("", "/lib")
    assert all("frozen" in path for path in frozen)


def test_frozen_umqtt_wins_over_lib(tmp_path: Path) -> None:
    board = make_board(
        tmp_path,
        main="import umqtt.simple as u; print(u.MQTTClient.__name__, u.__file__)",
        files={"/lib/umqtt/simple.py": FIRMWARE},
    )
    output = board.boot().output
    assert "from flash" not in output
    assert output.startswith("MQTTClient ")


def test_a_file_in_the_root_wins_over_frozen_umqtt(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="import umqtt.simple", files={"/umqtt/simple.py": FIRMWARE})
    assert board.boot().output.startswith("from flash\n")


def test_a_module_in_lib_is_found(tmp_path: Path) -> None:
    board = make_board(tmp_path, main="import own", files={"/lib/own.py": FIRMWARE})
    assert board.boot().output.startswith("from flash\n")


def test_the_simulators_own_modules_cannot_be_imported(tmp_path: Path) -> None:
    board = make_board(
        tmp_path,
        main="for n in ('link', 'start', 'flash', 'chip_sys'):\n"
        "  try: __import__(n); print('found', n)\n"
        "  except ImportError: print('none')",
    )
    assert board.boot().output.startswith("none\n" * 4)


def test_other_frozen_modules_can_be_given(tmp_path: Path) -> None:
    frozen = tmp_path / "frozen"
    (frozen / "umqtt").mkdir(parents=True)
    (frozen / "umqtt" / "simple.py").write_text("VERSION = '1.8.0'")
    image = build_image(
        boot=None, main="import umqtt.simple as u; print(u.VERSION)", lib=None, roots=[]
    )
    board = Board(image, tmp_path / "board", frozen=frozen)
    assert board.boot().output.startswith("1.8.0\n")


def test_the_firmware_says_it_is_an_esp32(tmp_path: Path) -> None:
    image = build_image(
        boot="import sys, os; print(sys.platform, sys.implementation.version, os.uname()[0])",
        lib=None,
        roots=[],
    )
    output = Board(image, tmp_path, firmware="1.25.0").boot(r"\n").output
    assert first_line(output) == "esp32 (1, 25, 0, '') esp32"


def test_unique_id_is_the_mac(tmp_path: Path) -> None:
    script = (
        "import machine, network as n\n"
        "print(machine.unique_id().hex(), n.WLAN().config('mac').hex())"
    )
    output = make_board(tmp_path, script).boot(r"\n").output
    assert first_line(output) == "246f28aabbcc 246f28aabbcc"


# --- the simulator itself


@needs_own
def test_the_simulator_takes_little_heap(tmp_path: Path) -> None:
    """13 KiB of a 32-bit chip's heap are enough to reach boot.py."""
    image = build_image(boot="print('up')", lib=None, roots=[])
    run = Board(image, tmp_path, heap="13wK").boot("up", timeout=10)
    assert run.ending == "until"
    assert 0 < run.heap_before_boot < 24 * 1024


@needs_own
def test_frozen_code_takes_no_heap(tmp_path: Path) -> None:
    """umqtt.simple is 3 kB of bytecode; only its objects are on the heap."""
    script = (
        "import gc\ngc.collect(); n = gc.mem_alloc()\nimport umqtt.simple\n"
        "gc.collect(); print('took', gc.mem_alloc() - n)"
    )
    output = make_board(tmp_path, script).boot("took .*\n").output
    assert int(output.split()[1]) < 3500


def test_another_interpreter_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROPYTHON", str(Path(sys.executable).with_name("micropython")))
    board = make_board(tmp_path, main="import umqtt.simple, time; print('up', time.gmtime()[0])")
    run = board.boot()
    assert run.output.startswith("up 2000\n")
    assert run.ending == "repl"


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_no_process_and_no_shared_memory_is_left_behind(tmp_path: Path) -> None:
    with make_board(tmp_path, main="while True: pass").power_on() as session:
        pid = session._interpreter._process.pid
        session.step(0.1)
        assert running(pid)
    assert not running(pid)
    assert not list(Path("/dev/shm").glob(f"*faketime*{pid}"))


HOST = """
import os, sys
from pathlib import Path
from tools.board import Board
board = Board(None, Path(sys.argv[1]))
session = board.power_on()
session.wait("up", timeout=20)
print(session._interpreter._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_the_board_dies_with_its_host(tmp_path: Path) -> None:
    make_board(tmp_path, main="print('up')\nwhile True: pass")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    host = subprocess.run(
        [sys.executable, "-c", HOST, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    pid = int(host.stdout)
    deadline = time.monotonic() + 5
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(pid)


@pytest.mark.parametrize("mac", ["", "246f28aabb", "246f28aabbccdd", "zz6f28aabbcc"])
def test_a_malformed_mac_is_refused(tmp_path: Path, mac: str) -> None:
    with pytest.raises(ValueError):
        Board(bytes(8192), tmp_path, mac=mac)
