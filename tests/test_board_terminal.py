"""The simulator with a limited or closed terminal, or an impatient user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_board_host import image_of, run

from tools.board import Board
from tools.layout import ROOT


def test_a_character_that_the_terminal_cannot_show_is_no_error(tmp_path: Path) -> None:
    missing = tmp_path / "Gerät.json"
    done = run("--product", missing, PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "Ger\\xe4t.json: no such file" in done.stderr
    assert "Traceback" not in done.stderr
    story = subprocess.run(
        [sys.executable, "-m", "tools.story"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert story.returncode == 0, story.stderr
    assert story.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(tmp_path: Path, closed: str) -> None:
    (tmp_path / "flash.img").write_bytes(image_of("print('up')"))
    command = Path(sys.executable).with_name("aliyun-iot")
    done = subprocess.run(
        f"{command} board --image flash.img --folder b {closed}",
        cwd=tmp_path,
        shell=True,
        input="f = open('/typed', 'w'); f.close()\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert Board(None, tmp_path / "b").read("/typed") == b""


def test_a_closed_input_does_not_end_the_board(tmp_path: Path) -> None:
    (tmp_path / "flash.img").write_bytes(image_of("print('up')"))
    command = Path(sys.executable).with_name("aliyun-iot")
    process = subprocess.Popen(
        f"exec {command} board --image flash.img --folder b <&-",
        cwd=tmp_path,
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert (first, process.returncode) == ("up\n", 0), said
    assert "Traceback" not in said


def mentioning(text: str) -> list[str]:
    """Command lines of processes that mention this text, or have it in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in line:
                found.append(line.decode(errors="replace"))
    return found


@pytest.mark.parametrize("after", ["", "A ", "First boot"])
@pytest.mark.parametrize("module", ["tools.story", "tools.gateway_story"])
def test_an_interrupted_make_run_prints_one_line_and_leaves_nothing(
    tmp_path: Path, module: str, after: str
) -> None:
    """after: interrupt it after this output; if empty, while it is still importing."""
    place = tmp_path / "place"
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "MAKELEVEL"} | {"TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    if after:
        for line in process.stdout:
            if after in line:
                break
    time.sleep(0.15)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said == "interrupted\n"
    assert process.returncode in (130, -signal.SIGINT)
    assert list(place.iterdir()) == []
    assert mentioning(str(place)) == []
