"""`aliyun-iot provision devices.csv`, `aliyun-iot preregister`, `aliyun-iot nvs`; here
`python -m tools.provision devices.csv | preregister | nvs`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.arguments import board_files, remarks, show_roots
from tools.command import UsageError, count, run
from tools.deploy import DeployError
from tools.deploy.ports import find_ports
from tools.flash import FlashError, read_firmware
from tools.image import IMAGE_ERRORS, parse_size, stock_layout
from tools.image.gateway import chosen
from tools.image.records import parse, standard_file
from tools.image.rules import check_complete, product_remarks
from tools.private import write_private
from tools.provision.arguments import nvs_parser, preregister_parser, provision_parser
from tools.provision.assign import Assignment
from tools.provision.errors import ProvisionError
from tools.provision.images import write_images
from tools.provision.log import ResultLog
from tools.provision.nvs import OFFSET, nvs_partition
from tools.provision.preregister import add_names, read_names
from tools.provision.report import report
from tools.provision.run import Line
from tools.provision.units import Unit, read_units
from tools.provision.work import Job


def _job(arguments: argparse.Namespace, units: list[Unit], console: Console) -> Job:
    """What every board gets. Raises what stands against it before a board is touched."""
    unique = any(unit.device_secret for unit in units)
    product = None if arguments.no_product else standard_file(arguments.product, "product.json")
    fields: dict[str, Any] = {}
    if product is None and not unique and not arguments.incomplete:
        raise ProvisionError(
            "product.json: no such file; name one with --product, or give the CSV a column "
            "deviceSecret for unique certificates"
        )
    show_roots(arguments, console)
    files = chosen(board_files(arguments), arguments.gateway)
    if product is None:
        files.pop("/product.json", None)
    else:
        fields = json.loads(files["/product.json"])
        _check_product(arguments, product, fields, units, unique)
    if not unique and not arguments.incomplete:
        check_complete(fields or None, None)
    for text in remarks(arguments, files):
        console.print(f"note: {text}", markup=False)
    return Job(files, unique, fields.get("deviceNamePrefix", ""), arguments.replace)


def _check_product(
    arguments: argparse.Namespace,
    product: Path,
    fields: dict[str, Any],
    units: list[Unit],
    unique: bool,
) -> None:
    """Raises ProvisionError where a product certificate does not go with the units."""
    key = fields["productKey"]
    other = next((unit for unit in units if unit.product_key not in ("", key)), None)
    if other is not None:
        raise ProvisionError(
            f"{arguments.csv}: line {other.line}: productKey: another product's than in {product}"
        )
    if fields.get("deviceName", "mac") != "mac" and len(units) > 1:
        raise ProvisionError(
            f'{product}: "deviceName": every board would have this one; expected "mac"'
        )
    if unique and "productSecret" in fields:
        raise ProvisionError(
            f'{product}: "productSecret": not needed with unique certificates, and one leaked '
            "board would give it away; name a file without it (--product FILE), or none "
            "(--no-product)"
        )


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
    if arguments.csv is None:
        raise UsageError("which units? Name the list: aliyun-iot provision FILE (make: CSV=FILE)")
    units = read_units(arguments.csv)
    job = _job(arguments, units, console)
    if arguments.images:
        return _make_images(arguments, job, units, console)
    ports = find_ports(arguments.port)
    what = "unique certificate per device" if job.unique else "product certificate"
    console.print(
        f"{arguments.csv}: {count(len(units), 'unit')}, {what}, {count(len(ports), 'port')}"
    )
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
    left = assignment.remaining
    remain = f"{left} of {count(len(units), 'unit')} {'remains' if left == 1 else 'remain'}"
    console.print(remain if left else f"no unit remains: all {len(units)} are done")
    if arguments.report:
        page = report(f"Provisioning of {arguments.csv.name}", units, entries)
        arguments.report.write_text(page, "utf-8")
        console.print(f"report: {arguments.report}")
    return 1 if failed else 0


def _log_path(arguments: argparse.Namespace) -> Path:
    csv: Path = arguments.csv
    path: Path = arguments.log or csv.with_name(csv.name + ".log.jsonl")
    return path


def _preregister(arguments: argparse.Namespace, console: Console) -> int:
    ports = find_ports(arguments.port)
    names, wrong = read_names(ports, arguments.prefix, arguments.blank)
    new = add_names(arguments.output, names, arguments.template)
    for name in names:
        console.print(f"  {name}")
    for text in wrong:
        console.print(f"  FAILED {text}", markup=False)
    console.print(f"{arguments.output}: {count(new, 'new DeviceName')}")
    return 1 if wrong else 0


def _nvs(arguments: argparse.Namespace, console: Console) -> int:
    content = arguments.product.read_bytes()
    file = str(arguments.product)
    record = parse(file, content)
    made = nvs_partition(content, file, parse_size(arguments.size))
    if not arguments.incomplete:
        check_complete(record, None)
    for text in product_remarks(record, file):
        console.print(f"note: {text}", markup=False)
    write_private(arguments.output, made)
    console.print(
        f"{arguments.output}: {len(made)} bytes; write it with\n"
        f"  .venv/bin/esptool --port PORT write-flash {OFFSET:#x} {arguments.output}"
    )
    return 0


Action = Callable[[argparse.Namespace, Console], int]
ACTIONS: dict[str, tuple[Callable[[str], argparse.ArgumentParser], Action]] = {
    "provision": (provision_parser, _provision),
    "preregister": (preregister_parser, _preregister),
    "nvs": (nvs_parser, _nvs),
}


def main(words: Sequence[str] | None = None) -> int:
    """The command: its exit status. words: its arguments; those of the process by default."""
    given = list(sys.argv[1:] if words is None else words)
    action = given.pop(0) if given and given[0] in ACTIONS else "provision"
    parser, work = ACTIONS[action]
    arguments = parser(f"aliyun-iot {action}").parse_args(given)
    console = Console(highlight=False, soft_wrap=True)
    expected = (ProvisionError, DeployError, FlashError, *IMAGE_ERRORS)
    return run(lambda: work(arguments, console), *expected)


if __name__ == "__main__":
    sys.exit(main())
