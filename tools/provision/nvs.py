"""NVS partitions that carry the product certificate, made with Espressif's own generator.

The board reads namespace "aliyun_iot", blob "product" (firmware offers blobs and 32-bit numbers
only), where it has no product.json.
"""

from __future__ import annotations

import struct
import subprocess
import sys

from tools.image.records import BOM, parse
from tools.image.rules import check_product
from tools.private import PrivateFolder, write_private
from tools.provision.errors import ProvisionError

NAMESPACE = "aliyun_iot"
KEY = "product"
OFFSET, SIZE = 0x9000, 0x6000
"""The partition "nvs" of stock firmware."""
MOST = 1024
"""Longest product certificate that the board reads."""

_PAGE, _ENTRY = 4096, 32
_NAMESPACE_TYPE, _BLOB_DATA = 0x01, 0x42


def nvs_partition(product: bytes, file: str = "product.json", size: int = SIZE) -> bytes:
    """The partition that holds this product certificate. Raises ProvisionError, RecordError.

    product: as product.json holds it. file: its name in messages. size: of the partition.
    """
    product = product.removeprefix(BOM)
    record = parse(file, product)
    check_product(record, file)
    if record.get("forgetProductSecret"):
        raise ProvisionError(
            f'{file}: "forgetProductSecret": NVS keeps what was written; use product.json on the '
            "file system where the ProductSecret shall be forgotten"
        )
    if len(product) > MOST:
        raise ProvisionError(f"{file}: {len(product)} bytes; expected at most {MOST} for NVS")
    with PrivateFolder() as folder:
        source, table, output = folder / "product", folder / "table.csv", folder / "nvs.bin"
        write_private(source, product)
        write_private(output, b"")
        table.write_text(
            f"key,type,encoding,value\n{NAMESPACE},namespace,,\n{KEY},file,binary,{source}\n"
        )
        arguments = ["generate", str(table), str(output), f"{size:#x}"]
        run = subprocess.run(
            [sys.executable, "-m", "esp_idf_nvs_partition_gen", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        made = output.read_bytes()
    if run.returncode or read_blob(made, NAMESPACE, KEY) != product:
        raise ProvisionError("esp_idf_nvs_partition_gen did not make a partition that reads back")
    return made


def read_blob(partition: bytes, namespace: str, key: str) -> bytes | None:
    """A blob of a partition, None if there is none (ESP-IDF, "NVS library", version 2 pages)."""
    index = None
    pieces: dict[int, bytes] = {}
    for page in range(0, len(partition), _PAGE):
        at = page + 2 * _ENTRY
        while at < page + _PAGE:
            number, kind, span, chunk = struct.unpack_from("BBBB", partition, at)
            name = partition[at + 8 : at + 24].split(b"\0")[0]
            if kind == _NAMESPACE_TYPE and number == 0 and name == namespace.encode():
                index = partition[at + 24]
            elif kind == _BLOB_DATA and number == index and name == key.encode():
                (length,) = struct.unpack_from("<H", partition, at + 24)
                pieces[chunk] = partition[at + _ENTRY : at + _ENTRY + length]
            at += _ENTRY * (span if 0 < span < 127 else 1)
    return b"".join(pieces[chunk] for chunk in sorted(pieces)) if pieces else None
