"""The search for secrets finds them, in all the forms and places they may turn up in."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from tools.bench import place
from tools.faults.bench import PRODUCT_KEY, PRODUCT_SECRET, WIFI, Bench
from tools.faults.secrets import Leak, Secrets
from tools.faults.tally import RESULTS
from tools.layout import ROOT


@pytest.mark.parametrize(
    "secret", ["KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4", "Psecret0fTheBench", "short-pw"]
)
def test_a_secret_is_found_as_it_is_in_hex_and_in_base64(secret: str) -> None:
    secrets = Secrets()
    secrets.add("it", secret)
    encode = base64.b64encode
    for text in (
        f"a {secret}!".encode(),
        secret.encode().hex().encode(),
        encode(secret.encode()),
    ):
        assert secrets.seen_in(text) == ["it"]
    assert secrets.seen_in(secret[::-1] + "KGQQFFl") == []


def test_a_part_of_a_secret_is_found_too() -> None:
    secrets = Secrets()
    secrets.add_device(PRODUCT_KEY, "unit", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4")
    assert secrets.seen_in("{'deviceSecret': 'KGQQFFlGinIipW9...") == ["DeviceSecret"]
    assert secrets.seen_in("...7xQ5U6d6MokPZD4'}") == ["DeviceSecret"]
    record = b'x{"deviceSecret":"KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"}'
    for start in range(3):
        text = base64.b64encode(record[start:])
        assert secrets.seen_in(text) == ["DeviceSecret"]


@pytest.mark.parametrize("method", ["hmacsha256", "hmacsha1", "hmacmd5"])
def test_a_board_that_prints_its_secret_is_found_out(tmp_path: Path, method: str) -> None:
    main = (
        "from aliyun_iot.device import Device\nd = Device.open()\n"
        "print(d.credentials(), open('/device.json').read())\n"
    )
    with pytest.raises(Leak) as caught, Bench(tmp_path) as bench:
        bench.board(bench.image(bench.product(signMethod=method), main=main)).boot(None, 20)
    assert re.search("MQTT password on the serial line", str(caught.value))
    assert re.search("DeviceSecret on the serial line", str(caught.value))
    assert bench.secrets.seen_in(str(caught.value)) == []


def test_a_platform_that_records_a_secret_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(Leak, match="DeviceSecret in the platform's record"), Bench(tmp_path) as b:
        name = b.devices(1)[0]
        b.platform.record.add("admin", what=f"shows {b.secret_of(name)}")


def test_a_leak_that_is_counted_in_a_table_is_not_raised_on_top(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        name = bench.devices(1)[0]
        bench.platform.record.add("admin", what=f"shows {bench.secret_of(name)}")
        assert bench.leaks() == ["DeviceSecret in the platform's record"]


def test_an_exception_under_way_is_not_replaced_by_a_leak(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Bench(tmp_path) as bench:
        name = bench.devices(1)[0]
        bench.platform.record.add("admin", what=f"shows {bench.secret_of(name)}")
        raise ZeroDivisionError


def test_the_pages_that_the_commands_write_hold_no_secret() -> None:
    """Of the benches of `make faults` and `make bench`; others are made up in each run."""
    secrets = Secrets()
    for name, value in (
        ("ProductSecret of the faults", PRODUCT_SECRET),
        ("Wi-Fi password of the faults", WIFI["password"]),
        ("ProductSecret of the bench", place.PRODUCT_SECRET),
        ("Wi-Fi password of the bench", place.WIFI["password"]),
    ):
        secrets.add(name, value)
    found = [*(ROOT / "docs").rglob("*"), *ROOT.glob("*.md"), *RESULTS.glob("*")]
    pages = [path for path in found if path.is_file()]
    assert {page.name for page in pages} >= {"benchmark.md", "reliability.md", "SECURITY.md"}
    assert {str(page): secrets.seen_in(page.read_bytes()) for page in pages} == {
        str(page): [] for page in pages
    }
