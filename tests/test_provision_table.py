"""Lists as office programs make them: read as they are meant, or refused with line and cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import MAC, PRODUCT_KEY

from tools.provision import ProvisionError, ResultLog, read_units
from tools.provision.assign import Assignment
from tools.provision.log import read_log, standing
from tools.provision.preregister import add_names

HEAD = "productKey,deviceName,deviceSecret"
SECRET = "secretThatMustNotShow"


def units_of(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "devices.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "separator", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"], ids=ascii
)
def test_only_cr_and_lf_end_a_line(tmp_path: Path, separator: str) -> None:
    path = units_of(
        tmp_path, f"id,note\n1001,left{separator}1002,right\n1003,\n".replace(",r", "r")
    )
    assert [unit.id for unit in read_units(path)] == ["1001", "1003"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
def test_lines_end_with_cr_lf_or_both(tmp_path: Path, end: str) -> None:
    path = units_of(tmp_path, end.join(["id,note", "1001,a", "", "1002,b", ""]))
    assert [(unit.id, unit.line) for unit in read_units(path)] == [("1001", 2), ("1002", 4)]


@pytest.mark.parametrize("name", ["a\u2028b", "a\x85b", "a\vb", "ä"], ids=ascii)
def test_the_log_keeps_a_unit_whatever_its_name(tmp_path: Path, name: str) -> None:
    """A line torn in two would give the unit to a second board."""
    units = read_units(units_of(tmp_path, f"id\n{name}\n"))
    path = tmp_path / "log.jsonl"
    with ResultLog(path) as log:
        Assignment(units, log, unique=False).claim(MAC, "a", MAC, "")
    assert [entry.name for entry in read_log(path)] == [name]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}\n,SN-2,{SECRET}\n",
            "line 3: deviceSecret: the same as in line 2; each unit has its own",
        ),
        (f"{HEAD}\n{PRODUCT_KEY},SN-1,0.12E+34\n", "line 2: deviceSecret: a spreadsheet"),
        (f'{HEAD}\n{PRODUCT_KEY},SN-1,"1,23E+17"\n', "line 2: deviceSecret: a spreadsheet"),
        (f"{HEAD}\n{PRODUCT_KEY},SN-1,12345678901234500000\n", "deviceSecret: a spreadsheet"),
        ("mac\n2.46E+11\n", "line 2: mac: a spreadsheet turned it into a number; export"),
        ("id\n8.99E+18\n", "line 2: id: a spreadsheet"),
        ("deviceName\n1.2E-05\n", "line 2: deviceName: a spreadsheet"),
        (
            f"deviceName;deviceSecret\nSN-1;{SECRET}\n",
            "line 1: the values stand between semicolons",
        ),
        (f"deviceName\tdeviceSecret\nSN-1\t{SECRET}\n", "line 1: the values stand between tabs"),
        (f"{HEAD}\n{PRODUCT_KEY};SN-1;{SECRET}\n", "line 2: the values stand between semicolons"),
        ("sep=;\nid;note\n1;x\n", "line 1: the values stand between semicolons"),
    ],
)
def test_what_an_office_program_spoiled_is_said_with_line_and_cure(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ProvisionError) as caught:
        read_units(units_of(tmp_path, text))
    message = str(caught.value)
    assert says in message
    assert SECRET not in message and "\n" not in message
    assert any(cure in message for cure in ("export", "save it as", "take one of the lines out"))


def test_a_mac_address_with_an_e_in_it_is_no_number(tmp_path: Path) -> None:
    path = units_of(tmp_path, "deviceName,mac\n246e28123456,24:6e:28:12:34:56\n")
    assert [unit.mac for unit in read_units(path)] == ["246e28123456"]


def test_one_column_may_hold_semicolons(tmp_path: Path) -> None:
    assert [u.id for u in read_units(units_of(tmp_path, "id\na;b\nc\n"))] == ["a;b", "c"]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-le"])
def test_another_encoding_is_said_with_its_cure(tmp_path: Path, encoding: str) -> None:
    path = units_of(tmp_path, "id,note\n1001,灯\n".encode(encoding))
    with pytest.raises(ProvisionError, match=r"is not UTF-8 text.*; save it as .CSV UTF-8"):
        read_units(path)


def test_lines_may_be_sorted_between_two_runs(tmp_path: Path) -> None:
    """The log knows a unit by its name: else the sorted list would give one out twice."""
    rows = [f"{PRODUCT_KEY},SN-{n},{SECRET}{n}" for n in (1, 2)]
    log_path = tmp_path / "log.jsonl"
    first = read_units(units_of(tmp_path, "\n".join([HEAD, *rows])))
    with ResultLog(log_path) as log:
        assert Assignment(first, log, unique=True).claim(MAC, "a", "", "").name == "SN-1"
        log.add("done", MAC, "a", unit=1, name="SN-1")
    turned = read_units(units_of(tmp_path, "\n".join([HEAD, *reversed(rows)])))
    with ResultLog(log_path) as log:
        after = Assignment(turned, log, unique=True)
        assert after.remaining == 1
        assert after.claim("246f28000002", "b", "", "").name == "SN-2"
        own = after.own(MAC, "")
        assert own is not None and own.name == "SN-1"


def test_what_the_log_says_as_a_whole_follows_each_entry(tmp_path: Path) -> None:
    with ResultLog(tmp_path / "log.jsonl") as log:
        for number in range(3):
            log.add("started", f"{number}", "a", unit=number + 1, name=f"SN-{number}")
        log.add("done", "1", "a", unit=2, name="246f")
        again = standing(log.entries)
        assert set(log.standing.finished) == set(again.finished) == {"SN-1"}
        assert log.standing.claims == again.claims
        assert len(log.standing.failed) == 2


# --- pre-registration


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
@pytest.mark.parametrize("which", ["list", "template"])
def test_a_list_of_names_in_another_encoding_is_left_as_it_is(
    tmp_path: Path, encoding: str, which: str
) -> None:
    names, template = tmp_path / "names.csv", tmp_path / "template.csv"
    content = "DeviceName,昵称\n246f28aabb00,灯\n".encode(encoding)
    (names if which == "list" else template).write_bytes(content)
    with pytest.raises(ProvisionError, match="is not UTF-8 text"):
        add_names(names, ["246f28aabb01"], template if which == "template" else None)
    assert not names.exists() or names.read_bytes() == content


def test_a_list_with_semicolons_is_refused_and_gets_no_name_twice(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("DeviceName;Nickname\n246f28aabb00;lamp\n")
    with pytest.raises(ProvisionError, match="line 1: the values stand between semicolons"):
        add_names(names, ["246f28aabb00"])
    assert names.read_text().count("246f28aabb00") == 1


def test_a_list_with_old_macintosh_line_ends_is_read(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_bytes(b"DeviceName,Nickname\r246f28aabb00,lamp\r")
    assert add_names(names, ["246f28aabb00", "246f28aabb01"]) == 1


def test_a_log_of_an_older_release_is_read(tmp_path: Path) -> None:
    entry = {"time": "2026-01-01T00:00:00+0000", "status": "done", "mac": MAC, "port": "a"}
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({**entry, "unit": 1, "name": "SN-1"}) + "\n")
    assert set(standing(read_log(path)).finished) == {"SN-1"}
