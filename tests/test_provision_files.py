"""What provisioning reads and writes on the host: CSV, log, NVS partition, image files."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest
from conftest import MAC, PRODUCT_KEY, PRODUCT_SECRET, MakeBoard, product_of
from serial_boards import run_tool

from tools.board import Board
from tools.image import list_files, read_file
from tools.image.records import check_of
from tools.iot_platform import LocalPlatform
from tools.provision import ProvisionError, ResultLog, read_units
from tools.provision.assign import Assignment
from tools.provision.log import read_log, standing
from tools.provision.nvs import nvs_partition, read_blob
from tools.provision.preregister import add_names
from tools.provision.report import report

SECRET = "secretThatMustNotShow"
HEAD = "productKey,deviceName,deviceSecret"


def units_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "devices.csv"
    path.write_text(text)
    return path


# --- the CSV


def test_columns_are_known_in_any_order_case_and_form_and_others_are_metadata(
    tmp_path: Path,
) -> None:
    text = (
        f"batch,Device Name,DEVICE_SECRET,product-key,Mac\n7,SN-1,{SECRET},{PRODUCT_KEY},"
        "24:6F:28:AA:BB:CC\n"
    )
    (unit,) = read_units(units_of(tmp_path, "\ufeff" + text))
    assert (unit.device_name, unit.device_secret, unit.product_key, unit.mac) == (
        "SN-1",
        SECRET,
        PRODUCT_KEY,
        "246f28aabbcc",
    )


def test_a_product_key_in_the_first_row_holds_for_all(tmp_path: Path) -> None:
    """As the keyword REPEAT of Espressif's tools."""
    text = f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}1\n,SN-2,{SECRET}2\n"
    assert [unit.product_key for unit in read_units(units_of(tmp_path, text))] == [PRODUCT_KEY] * 2


def test_the_device_certificate_of_a_row_carries_its_check(tmp_path: Path) -> None:
    (unit,) = read_units(units_of(tmp_path, f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}\n"))
    record = json.loads(unit.device_json())
    assert record.pop("check") == check_of(record)
    assert record == {"productKey": PRODUCT_KEY, "deviceName": "SN-1", "deviceSecret": SECRET}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n\nid\n1\n", "line 1: is blank; expected the names of the columns"),
        (f"{HEAD}\n{PRODUCT_KEY},SN-1,...\n", 'line 2: "deviceSecret": a placeholder'),
        (f"{HEAD}\n", "no unit"),
        ("colour\nred\n", "line 1: expected a column deviceName, mac or id"),
        (f"{HEAD},deviceName\n", "line 1: a column appears twice"),
        (f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET},more\n", "line 2: 4 values; expected 3"),
        (f"{HEAD}\n{PRODUCT_KEY},SN 1,{SECRET}\n", 'line 2: "deviceName"'),
        (f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}\n\n,SN-2,\n", 'line 4: "deviceSecret"'),
        (f"{HEAD}\na1 !,SN-1,{SECRET}\n", 'line 2: "productKey"'),
        (f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET} x\n", 'line 2: "deviceSecret"'),
        (
            f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}\n,SN-1,{SECRET}\n",
            "line 3: deviceName: the same as in line 2",
        ),
        ("mac\n246f28aabbcc\n24:6f:28:aa:bb:cc\n", "line 3: mac: the same as in line 2"),
        ("mac\n246f28aabb\n", "line 2: mac: expected 12 hex digits"),
        (f'{HEAD}\n{PRODUCT_KEY},"SN-1,{SECRET}\n', "line 2: expected values between commas"),
    ],
)
def test_a_bad_csv_is_named_by_line_and_column_and_never_by_value(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ProvisionError) as caught:
        read_units(units_of(tmp_path, text))
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_unit_does_not_show_its_secret(tmp_path: Path) -> None:
    units = read_units(units_of(tmp_path, f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}\n"))
    assert SECRET not in repr(units)


@pytest.mark.parametrize(
    ("product", "says"),
    [
        ({"productSecret": PRODUCT_SECRET}, '"productSecret": not needed'),
        ({"productKey": "a1OTHER"}, "line 2: productKey: another product's"),
        ({"deviceName": "SN-1"}, '"deviceName": every board would have this one'),
    ],
)
def test_a_product_file_that_does_not_go_with_the_csv_is_refused(
    tmp_path: Path, product: dict[str, str], says: str
) -> None:
    path = units_of(tmp_path, f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}1\n,SN-2,{SECRET}2\n")
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"productKey": PRODUCT_KEY, **product}))
    run = run_tool("tools.provision", path, "--product", file, "--port", "/dev/null")
    assert run.status == 1
    assert says in run.output
    assert PRODUCT_SECRET not in run.output


# --- the log


def test_a_line_torn_by_a_crash_is_ignored_and_the_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with ResultLog(path) as log:
        log.add("started", MAC, "/dev/ttyUSB0", unit=1, name="SN-1")
    with path.open("ab") as file:
        file.write(b'{"time":"2026-01-01T00:00:00","status":"do')
    with ResultLog(path) as log:
        assert [entry.status for entry in log.entries] == ["started"]
        log.add("done", MAC, "/dev/ttyUSB0", unit=1, name="SN-1")
    assert [entry.status for entry in read_log(path)] == ["started", "done"]


def test_two_runs_do_not_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with ResultLog(path), pytest.raises(ProvisionError, match="another run"):
        ResultLog(path)


def test_a_row_begun_by_a_run_that_was_killed_stays_with_its_board(tmp_path: Path) -> None:
    path = units_of(tmp_path, f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}1\n,SN-2,{SECRET}2\n")
    units = read_units(path)
    log_path = tmp_path / "log.jsonl"
    with ResultLog(log_path) as log:
        assert Assignment(units, log, unique=True).claim(MAC, "a", "", "").number == 1
    with ResultLog(log_path) as log:
        after = Assignment(units, log, unique=True)
        assert after.claim("246f28000002", "b", "", "").number == 2
        assert after.claim(MAC, "a", "", "").number == 1
        with pytest.raises(ProvisionError, match="no unit is left"):
            after.claim("246f28000003", "c", "", "")
        released = Assignment(units, log, unique=True, release=True)
        assert released.claim("246f28000003", "c", "", "").number == 1


def test_many_threads_never_get_the_same_row(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = "".join(f"{PRODUCT_KEY},SN-{n:04},{SECRET}{n}\n" for n in range(40))
    units = read_units(units_of(tmp_path, f"{HEAD}\n{rows}"))
    with ResultLog(tmp_path / "log.jsonl") as log, ThreadPoolExecutor(8) as pool:
        assignment = Assignment(units, log, unique=True)
        macs = [f"246f28{n:06x}" for n in range(40)]
        numbers = list(pool.map(lambda mac: assignment.claim(mac, mac, "", "").number, macs))
    assert sorted(numbers) == list(range(1, 41))


def test_a_unit_that_was_begun_and_never_finished_counts_as_failed_in_the_report(
    tmp_path: Path,
) -> None:
    units = read_units(units_of(tmp_path, f"{HEAD}\n{PRODUCT_KEY},SN-1,{SECRET}\n"))
    with ResultLog(tmp_path / "log.jsonl") as log:
        log.add("started", MAC, "/dev/ttyUSB0", unit=1, name="SN-1")
        assert len(standing(log.entries).failed) == 1
        page = report("<Run>", units, log.entries)
    assert "interrupted: begun and never finished" in page
    assert "&lt;Run&gt;" in page and "<Run>" not in page
    assert "<b>0</b>of 1 unit done" in page


# --- NVS


def test_espressifs_generator_makes_what_the_board_reads(
    platform: LocalPlatform, make_board: MakeBoard
) -> None:
    """From product.json through the NVS partition to a registered device."""
    product = json.dumps(product_of(platform)).encode()
    partition = nvs_partition(product)
    assert len(partition) == 0x6000
    blob = read_blob(partition, "aliyun_iot", "product")
    assert blob == product
    board: Board = make_board({})
    (board.folder / "nvs").write_text(f"aliyun_iot product blob {blob.hex()}\n")
    assert board.boot(r"connected as", timeout=20).ending == "until"


def test_an_nvs_partition_holds_nothing_else(tmp_path: Path) -> None:
    partition = nvs_partition(b'{"productKey":"a1"}')
    assert read_blob(partition, "aliyun_iot", "device") is None
    assert read_blob(partition, "other", "product") is None
    assert read_blob(b"\xff" * 0x6000, "aliyun_iot", "product") is None


def test_a_product_secret_that_shall_be_forgotten_does_not_go_into_nvs() -> None:
    product = {"productKey": "a1", "productSecret": PRODUCT_SECRET, "forgetProductSecret": True}
    with pytest.raises(ProvisionError, match="forgetProductSecret") as caught:
        nvs_partition(json.dumps(product).encode())
    assert PRODUCT_SECRET not in str(caught.value)


def test_the_nvs_command_writes_a_private_file(tmp_path: Path) -> None:
    product, output = tmp_path / "p.json", tmp_path / "nvs.bin"
    product.write_text(json.dumps({"productKey": "a1", "productSecret": PRODUCT_SECRET}))
    run = run_tool("tools.provision", "nvs", "--product", product, "--output", output)
    assert run.status == 0, run.output
    assert "write-flash 0x9000" in run.output
    assert output.stat().st_mode & 0o077 == 0
    assert PRODUCT_SECRET not in run.output


# --- images for a gang programmer


def test_each_unit_gets_an_image_with_its_identity(tmp_path: Path) -> None:
    path = units_of(tmp_path, f"{HEAD}\n{PRODUCT_KEY},SN:1,{SECRET}1\n,SN-2,{SECRET}2\n")
    folder = tmp_path / "images"
    run = run_tool("tools.provision", path, "--images", folder, "--firmware-version", "1.25")
    assert run.status == 0, run.output
    with (folder / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["deviceName"] for row in rows] == ["SN:1", "SN-2"]
    for number, row in enumerate(rows, 1):
        image = (folder / row["file"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(image).hexdigest()
        assert (row["offset"], int(row["bytes"])) == ("0x200000", len(image))
        record = json.loads(read_file(image, "/device.json") or b"{}")
        assert record["deviceSecret"] == f"{SECRET}{number}"
        assert record.pop("check") == check_of(record)
        assert "/lib/aliyun_iot/device.mpy" in list_files(image)
        assert (folder / row["file"]).stat().st_mode & 0o077 == 0
    assert SECRET not in run.output + (folder / "images.csv").read_text()


def test_without_device_certificates_one_image_is_for_all(tmp_path: Path) -> None:
    product = tmp_path / "p.json"
    product.write_text(json.dumps({"productKey": "a1", "productSecret": PRODUCT_SECRET}))
    path, folder = units_of(tmp_path, "id\n1\n2\n"), tmp_path / "images"
    run = run_tool("tools.provision", path, "--images", folder, "--product", product)
    assert run.status == 0, run.output
    assert sorted(path.name for path in folder.iterdir()) == ["all-units.bin", "images.csv"]
    assert "/device.json" not in list_files((folder / "all-units.bin").read_bytes())


# --- pre-registration


def test_the_first_row_of_the_consoles_template_stays_as_it_is(tmp_path: Path) -> None:
    template, names = tmp_path / "template.csv", tmp_path / "names.csv"
    template.write_text("\ufeffDeviceName(required),Alias,Remark\nexample,,\n", "utf-8")
    assert add_names(names, ["246f28aabb00"], template) == 1
    assert add_names(names, ["246f28aabb00", "246f28aabb01"]) == 1
    assert names.read_text() == (
        "DeviceName(required),Alias,Remark\n246f28aabb00,,\n246f28aabb01,,\n"
    )
