"""Provision boards: `python -m tools.provision devices.csv`, `... preregister`, `... nvs`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.command import run
from tools.deploy import DeployError, choose_port, serial_devices
from tools.flash import FlashError, read_firmware
from tools.image import (
    IMAGE_ERRORS,
    image_files,
    parse_size,
    shipped_roots,
    stock_layout,
)
from tools.layout import ROOT
from tools.private import write_private
from tools.provision.assign import Assignment
from tools.provision.errors import ProvisionError
from tools.provision.images import write_images
from tools.provision.log import ResultLog
from tools.provision.nvs import OFFSET, SIZE, nvs_partition
from tools.provision.preregister import add_names, read_names
from tools.provision.report import report
from tools.provision.run import Line
from tools.provision.units import Unit, read_units
from tools.provision.work import Job


def _line_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.provision",
        description="Put package, product certificate and, where the CSV has a column "
        "deviceSecret, each unit's own device certificate onto boards that run stock MicroPython: "
        "write, read back, compare. An interrupted run goes on where it stopped. Also: "
        "python -m tools.provision preregister | nvs (see their --help).",
        epilog="Exit status 0: every board at a port is right. Else each failed one was named.",
    )
    add = parser.add_argument
    add("csv", type=Path, help="devices.csv: one row a unit")
    add(
        "--port", action="append", default=[], metavar="PORT", help="may be repeated; default: all"
    )
    add("--watch", action="store_true", help="after a board, wait for the next at its port")
    add("--product", type=Path, metavar="FILE", help="default: product.json, if it is there")
    add("--wifi", type=Path, metavar="FILE", help="default: wifi.json, if it is there")
    add("--root", type=Path, metavar="FILE", action="append", default=[], help="one more root")
    add("--optimise", type=int, choices=range(4), default=0, help="of mpy-cross; default: 0")
    add("--log", type=Path, metavar="FILE", help="default: <csv>.log.jsonl")
    add("--report", type=Path, metavar="FILE", help="write an HTML page on the whole run so far")
    add("--replace", action="store_true", help="overwrite another identity on a board")
    add(
        "--release",
        action="store_true",
        help="give out again the units that were begun on a board and never finished: only if "
        "those boards will never be used",
    )
    gang = parser.add_argument_group("image files for a gang programmer, no boards")
    gang.add_argument("--images", type=Path, metavar="FOLDER", help="one image a unit, and a list")
    gang.add_argument("--firmware", type=Path, metavar="FILE", help="put in front of each image")
    gang.add_argument("--firmware-version", metavar="VERSION", default="1.28")
    gang.add_argument("--flash-size", metavar="SIZE", default="4MB", help="default: %(default)s")
    return parser


def _standard(path: Path | None, name: str) -> Path | None:
    standard = ROOT / name
    return path or (standard if standard.exists() else None)


def _job(arguments: argparse.Namespace, units: list[Unit]) -> Job:
    """What every board gets. Raises what stands against it before a board is touched."""
    unique = any(unit.device_secret for unit in units)
    product = _standard(arguments.product, "product.json")
    fields: dict[str, Any] = {}
    if product is None and not unique:
        raise ProvisionError(
            "product.json: no such file; name one with --product, or give the CSV a column "
            "deviceSecret for unique certificates"
        )
    files = image_files(
        product,
        _standard(arguments.wifi, "wifi.json"),
        roots=[*shipped_roots(), *arguments.root],
        optimise=arguments.optimise,
    )
    if product is not None:
        fields = json.loads(files["/product.json"])
        key = fields["productKey"]
        other = next((unit for unit in units if unit.product_key not in ("", key)), None)
        if other is not None:
            raise ProvisionError(
                f"{arguments.csv}: line {other.line}: productKey: "
                f"another product's than in {product}"
            )
        if fields.get("deviceName", "mac") != "mac" and len(units) > 1:
            raise ProvisionError(
                f'{product}: "deviceName": every board would have this one; expected "mac"'
            )
        if unique and "productSecret" in fields:
            raise ProvisionError(
                f'{product}: "productSecret": not needed with unique certificates, and one leaked '
                "board would give it away; take it out"
            )
    prefix = fields.get("deviceNamePrefix", "")
    return Job(files, unique, prefix, arguments.replace)


def _make_images(
    arguments: argparse.Namespace, job: Job, units: list[Unit], console: Console
) -> int:
    firmware = read_firmware(arguments.firmware) if arguments.firmware else None
    size = parse_size(arguments.flash_size)
    layout = firmware.layout(size) if firmware else stock_layout(size, arguments.firmware_version)
    listed = write_images(
        arguments.images,
        units,
        job.files,
        layout,
        unique=job.unique,
        firmware=firmware,
        on_unit=lambda unit: console.print(f"  {unit.name if job.unique else 'all units'}"),
    )
    start = "0x0" if firmware else f"{layout.offset:#x}"
    console.print(f"{listed}: images for offset {start}; they hold secrets, the list does not")
    return 0


def _provision(arguments: argparse.Namespace, console: Console) -> int:
    units = read_units(arguments.csv)
    job = _job(arguments, units)
    if arguments.images:
        return _make_images(arguments, job, units, console)
    ports = [choose_port(port) for port in arguments.port]
    ports = ports or [device.port for device in serial_devices()]
    if not ports:
        raise ProvisionError("no board found; plug boards in, or name ports with --port")
    if len(set(ports)) != len(ports):
        raise ProvisionError("a port is named twice")
    what = "unique certificate per device" if job.unique else "product certificate"
    console.print(f"{arguments.csv}: {len(units)} units, {what}, {len(ports)} ports")
    with ResultLog(_log_path(arguments)) as log:
        assignment = Assignment(units, log, unique=job.unique, release=arguments.release)
        tally = Line(ports, job, assignment, log, console, watch=arguments.watch).run()
        entries = list(log.entries)
    failed = tally.failed
    console.print(
        f"{tally.count('done')} done, {tally.count('before')} done before, {len(failed)} failed"
    )
    for outcome in failed:
        console.print(f"  {outcome.board}: {outcome.reason}", markup=False)
    if arguments.report:
        page = report(f"Provisioning of {arguments.csv.name}", units, entries)
        arguments.report.write_text(page, "utf-8")
        console.print(f"{arguments.report}: report")
    return 1 if failed else 0


def _log_path(arguments: argparse.Namespace) -> Path:
    csv: Path = arguments.csv
    path: Path = arguments.log or csv.with_name(csv.name + ".log.jsonl")
    return path


def _preregister(words: list[str], console: Console) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.provision preregister",
        description="Add the DeviceNames of the boards at hand, made of their MAC addresses, to "
        "the list that the platform's console imports (Batch Add, Batch Upload).",
    )
    add = parser.add_argument
    add(
        "--port", action="append", default=[], metavar="PORT", help="may be repeated; default: all"
    )
    add("--output", type=Path, metavar="FILE", default=Path("preregister.csv"))
    add("--prefix", default="", help="deviceNamePrefix of product.json")
    add("--template", type=Path, metavar="FILE", help="the console's own, for its first row")
    add("--blank", action="store_true", help="chips without firmware: ask the boot loader")
    arguments = parser.parse_args(words)
    ports = [choose_port(port) for port in arguments.port]
    ports = ports or [device.port for device in serial_devices()]
    if not ports:
        raise ProvisionError("no board found; plug boards in, or name ports with --port")
    names, wrong = read_names(ports, arguments.prefix, arguments.blank)
    new = add_names(arguments.output, names, arguments.template)
    for name in names:
        console.print(f"  {name}")
    for text in wrong:
        console.print(f"  FAILED {text}", markup=False)
    console.print(f"{arguments.output}: {new} new DeviceNames")
    return 1 if wrong else 0


def _nvs(words: list[str], console: Console) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.provision nvs",
        description="Make an NVS partition that carries the product certificate; the board reads "
        "it where it has no product.json, and copies it to that file.",
    )
    add = parser.add_argument
    add("--product", type=Path, metavar="FILE", default=ROOT / "product.json")
    add("--output", type=Path, metavar="FILE", default=Path("nvs.bin"))
    add("--size", metavar="SIZE", default=hex(SIZE), help="of the partition; default: %(default)s")
    arguments = parser.parse_args(words)
    content = arguments.product.read_bytes()
    made = nvs_partition(content, str(arguments.product), parse_size(arguments.size))
    write_private(arguments.output, made)
    console.print(
        f"{arguments.output}: {len(made)} bytes; write it with\n"
        f"  esptool --port PORT write-flash {OFFSET:#x} {arguments.output}"
    )
    return 0


def _run(words: list[str], console: Console) -> int:
    if words[:1] == ["preregister"]:
        return _preregister(words[1:], console)
    if words[:1] == ["nvs"]:
        return _nvs(words[1:], console)
    return _provision(_line_parser().parse_args(words), console)


def main() -> int:
    """The command: its exit status."""
    console = Console(highlight=False, soft_wrap=True)
    expected = (ProvisionError, DeployError, FlashError, *IMAGE_ERRORS)
    return run(lambda: _run(sys.argv[1:], console), *expected)


if __name__ == "__main__":
    sys.exit(main())
