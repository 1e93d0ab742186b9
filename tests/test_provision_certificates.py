"""A unit is done when its board could register or connect with what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import PRODUCT_KEY, PRODUCT_SECRET
from serial_boards import PlugIn, ToolRun, run_tool
from test_provision import package
from test_provision import unique_csv as unique_csv

from tools.image.records import FOLDER, with_check

BARE = {"productKey": PRODUCT_KEY}
REFUSED = 'product.json: "productSecret": is missing'


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A product.json with which no board can register."""
    path = tmp_path / "bare.json"
    path.write_text(json.dumps(BARE))
    return path


@pytest.fixture
def macs(tmp_path: Path) -> Path:
    path = tmp_path / "macs.csv"
    path.write_text("mac\n246f28aabb00\n246f28aabb01\n")
    return path


def refused(run: ToolRun) -> None:
    assert run.status == 1, run.output
    assert REFUSED in run.output and "--incomplete" in run.output


def test_a_board_that_could_never_register_is_not_done(
    plug_in: PlugIn, bare: Path, macs: Path
) -> None:
    board = plug_in(package())
    words = (macs, "--product", bare, "--port", board.port)
    refused(run_tool("tools.provision", *words))
    assert board.read("/product.json") is None
    assert not macs.with_name("macs.csv.log.jsonl").exists()
    run = run_tool("tools.provision", *words, "--incomplete")
    assert run.status == 0, run.output
    assert json.loads(board.read("/product.json") or b"") == with_check(BARE)


def test_images_for_a_gang_programmer_are_refused_alike(
    tmp_path: Path, bare: Path, macs: Path
) -> None:
    words = (macs, "--product", bare, "--images", tmp_path / "images")
    refused(run_tool("tools.provision", *words))
    assert not (tmp_path / "images").exists()
    assert run_tool("tools.provision", *words, "--incomplete").status == 0


@pytest.mark.parametrize("module", ["tools.image", "tools.provision"])
def test_an_image_or_a_partition_that_is_no_use_is_refused(
    tmp_path: Path, bare: Path, module: str
) -> None:
    words: list[str | Path] = ["nvs"] if module == "tools.provision" else []
    words += ["--product", bare, "--output", tmp_path / "made.bin"]
    refused(run_tool(module, *words))
    assert not (tmp_path / "made.bin").exists()
    assert run_tool(module, *words, "--incomplete").status == 0
    assert (tmp_path / "made.bin").exists()


def test_an_image_with_a_device_certificate_needs_no_product_secret(
    tmp_path: Path, bare: Path
) -> None:
    device = tmp_path / "device.json"
    device.write_text(json.dumps({**BARE, "deviceName": "SN-0001", "deviceSecret": "secret"}))
    words = ("--product", bare, "--device", device, "--output", tmp_path / "made.bin")
    assert run_tool("tools.image", *words).status == 0


def test_unique_certificates_need_no_product_file(plug_in: PlugIn, unique_csv: Path) -> None:
    board = plug_in(package())
    run = run_tool("tools.provision", unique_csv, "--port", board.port)
    assert run.status == 0, run.output
    assert board.read("/product.json") is None


def test_a_product_secret_beside_unique_certificates_is_refused_with_the_ways_out(
    plug_in: PlugIn, unique_csv: Path, tmp_path: Path
) -> None:
    """product.json lies in the root for the other boards: it is found there, and refused."""
    secret = {**BARE, "productSecret": PRODUCT_SECRET}
    (tmp_path / "product.json").write_text(json.dumps(secret))
    board = plug_in(package())
    words = (unique_csv, "--port", board.port)
    variables = {FOLDER: str(tmp_path)}
    run = run_tool("tools.provision", *words, variables=variables)
    assert run.status == 1
    assert "--product FILE" in run.output and "--no-product" in run.output
    run = run_tool("tools.provision", *words, "--no-product", variables=variables)
    assert run.status == 0, run.output
    assert board.read("/product.json") is None


def test_how_many_units_remain_is_said_without_a_report(plug_in: PlugIn, unique_csv: Path) -> None:
    boards = [plug_in(package()) for _ in range(3)]
    words = [word for board in boards[:2] for word in ("--port", board.port)]
    run = run_tool("tools.provision", unique_csv, *words)
    assert "3 units, unique certificate per device, 2 ports\n" in run.output
    assert run.output.endswith("\n1 of 3 units remains\n")
    run = run_tool("tools.provision", unique_csv, "--port", boards[2].port)
    assert "3 units, unique certificate per device, 1 port\n" in run.output
    assert run.output.endswith("\nno unit remains: all 3 are done\n")


def test_a_region_that_is_not_known_is_noted_and_let_pass(tmp_path: Path) -> None:
    product = tmp_path / "p.json"
    product.write_text(json.dumps({**BARE, "productSecret": PRODUCT_SECRET, "region": "shanghai"}))
    words = ("--product", product, "--output", tmp_path / "made.bin")
    for module, first in (("tools.image", ()), ("tools.provision", ("nvs",))):
        run = run_tool(module, *first, *words)
        assert run.status == 0, run.output
        assert (
            f'note: {product}: "region": not a known region; did you mean "cn-shanghai"?'
            in run.output
        )


def test_what_a_killed_run_left_among_the_images_goes(unique_csv: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "SN-0009.bin.part").write_bytes(b"a secret of a list that is no more")
    run = run_tool("tools.provision", unique_csv, "--images", folder)
    assert run.status == 0, run.output
    assert sorted(path.suffix for path in folder.iterdir()) == [".bin", ".bin", ".bin", ".csv"]
