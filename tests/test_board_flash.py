"""The simulated board's flash: power cuts, failing blocks, corrupted file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.board import Board, Cut, FlashFault
from tools.image import FlashLayout, image_files, make_image

SMALL = FlashLayout(size=16 * 4096)
STORE = """
import os
with open('new', 'w') as f: f.write('second ' * 30)
os.rename('new', 'record')
print('stored')
"""


def make_board(folder: Path, main: str = STORE, layout: FlashLayout = SMALL) -> Board:
    files = image_files(boot=None, main=main, lib=None, roots=[], files={"/record": "first"})
    return Board(make_image(files, layout), folder)


def test_flash_operations_are_counted(tmp_path: Path) -> None:
    run = make_board(tmp_path).boot()
    assert run.flash.programs > 2
    assert run.flash.erases >= 1
    assert run.flash.bytes_programmed > 210
    assert 32 * run.flash.reads <= run.flash.bytes_read <= 128 * run.flash.reads
    assert run.flash_operations == run.flash.programs + run.flash.erases


def test_reads_are_counted_until_the_moment_of_the_power_cut(tmp_path: Path) -> None:
    board = make_board(tmp_path, "while True:\n open('record').read()\n print('read')\n input()\n")
    short = board.boot(until="read").flash
    with board.power_on() as session:
        for count in range(20):
            assert session.wait(f"(read\\s+){{{count + 1}}}") == "until"
            session.send("\r")
    long = session.result("until").flash
    cut = make_board(tmp_path / "cut").boot(power_cut=Cut(1)).flash
    assert 0 < short.reads <= long.reads - 15
    assert cut.reads > 0


def test_reading_changes_nothing(tmp_path: Path) -> None:
    board = make_board(tmp_path, "print(open('record').read())")
    before = board.flash
    run = board.boot()
    assert run.output.startswith("first\n")
    assert run.flash_operations == 0
    assert board.flash == before


def test_flash_operations_are_counted_when_the_board_is_switched_off(tmp_path: Path) -> None:
    board = make_board(tmp_path, STORE + "while True: pass")
    assert board.boot("stored").flash_operations == make_board(tmp_path).boot().flash_operations


def test_a_record_is_old_or_new_after_a_power_cut_at_any_operation(tmp_path: Path) -> None:
    total = make_board(tmp_path).boot().flash_operations
    seen = set()
    for operation in range(1, total + 1):
        for when in ("before", "middle", "after"):
            board = make_board(tmp_path)
            run = board.boot(power_cut=Cut(operation, when))
            assert run.ending == "power cut", (operation, when)
            done = operation - 1 if when == "before" else operation
            assert run.flash_operations == done
            record = board.read("/record")
            assert record in (b"first", b"second " * 30), (operation, when)
            seen.add(record)
            assert board.boot("stored").ending == "until"
    assert len(seen) == 2


def test_a_cut_before_an_operation_leaves_the_flash_unchanged(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    before = board.flash
    assert board.boot(power_cut=Cut(1, "before")).ending == "power cut"
    assert board.flash == before


def differing(first: bytes, second: bytes) -> list[int]:
    return [i for i, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1]]


def test_a_cut_in_the_middle_leaves_half_of_the_bytes(tmp_path: Path) -> None:
    """Tested on the first operation that changes more than a few bytes: the record's content."""
    image = make_board(tmp_path).flash
    board = make_board(tmp_path)
    flash = {}
    for operation in range(1, 20):
        for when in ("before", "middle", "after"):
            board.flash = image
            board.boot(power_cut=Cut(operation, when))
            flash[when] = board.flash
        changed = differing(flash["before"], flash["after"])
        if len(changed) > 100:
            break
    half = differing(flash["before"], flash["middle"])
    assert len(changed) * 0.3 < len(half) < len(changed) * 0.7
    assert half == changed[: len(half)]


def test_nothing_runs_after_the_cut(tmp_path: Path) -> None:
    board = make_board(tmp_path, "open('a', 'w').close()\nprint('on')")
    assert board.boot(power_cut=Cut(1, "after")).output == ""


def test_a_cut_that_is_never_reached_changes_nothing(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    assert board.boot(power_cut=Cut(10_000)).ending == "repl"
    assert board.power_cut is None


def test_a_cut_applies_to_one_boot_only(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.power_cut = Cut(1)
    assert board.boot().ending == "power cut"
    assert board.boot().ending == "repl"


def test_operations_are_counted_across_a_soft_reset(tmp_path: Path) -> None:
    script = (
        "import machine\nopen('a', 'w').close()\nopen('b', 'w').close()\n"
        "if machine.reset_cause() == 1: machine.soft_reset()\n"
    )
    total = make_board(tmp_path, script).boot().flash_operations
    run = make_board(tmp_path, script).boot(power_cut=Cut(total, "after"))
    assert (run.ending, run.resets, run.flash_operations) == ("power cut", 1, total)


# --- failing flash


def test_read_only_flash_is_an_error_and_keeps_the_old_record(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.flash_fault = FlashFault()
    before = board.flash
    run = board.boot(then=["print(open('record').read())"])
    assert "OSError: [Errno 5] EIO" in run.output
    assert "\nfirst\n" in run.output
    assert board.flash == before


def test_a_worn_block_is_replaced_by_another(tmp_path: Path) -> None:
    used = make_board(tmp_path)
    before = used.flash
    used.boot()
    changed = [
        n
        for n in range(16)
        if used.flash[n * 4096 : n * 4096 + 4096] != before[n * 4096 : n * 4096 + 4096]
    ]
    worn = next(n for n in changed if n > 1)
    board = make_board(tmp_path)
    board.flash_fault = FlashFault(worn, silent=True)
    assert "stored" in board.boot().output
    assert board.read("/record") == b"second " * 30
    block = slice(worn * 4096, worn * 4096 + 4096)
    assert board.flash[block] == before[block]


def test_a_full_file_system_is_an_error(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.write("/filler", bytes(9 * 4096))
    board.write("/main.py", b"f = open('big', 'w')\nfor _ in range(20): f.write('x' * 4096)")
    assert "OSError: 28" in board.boot().output


def test_an_image_of_another_size_is_a_corrupted_file_system(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.flash = board.flash + b"\xff" * 4096
    run = board.boot(timeout=10)
    assert run.ending == "corrupt"
    assert "stored" not in run.output


def test_a_corrupted_file_system_runs_nothing(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.flash = b"\x00" * len(board.flash)
    assert board.boot(timeout=10).ending == "corrupt"


def test_blank_flash_is_formatted(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.flash = b"\xff" * len(board.flash)
    assert board.boot(timeout=10).ending == "repl"
    assert board.files() == {}


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_both_disk_versions_boot_and_can_be_written(tmp_path: Path, version: str) -> None:
    board = make_board(tmp_path, layout=FlashLayout(size=16 * 4096, disk_version=version))
    assert "stored" in board.boot().output
    assert board.read("/record") == b"second " * 30
