"""No tool shows a secret, whatever becomes of it: said, started, or left in a file for others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_flash import stock  # noqa: F401 - a fixture
from watched_tools import CRASHED, Watched

from tools.image import make_image, stock_layout

KEY = "a1ExpAkj9Hi"
PRODUCT_SECRET = "mNq8VwZr4TcY1bLk"
DEVICE_SECRETS = [f"{n}xQ5U6d6MokPZD4KGQQFFlGinIipW9X{n}" for n in range(3)]
PASSWORD = "wpa2 of the production hall"
PRODUCT = {"productKey": KEY, "productSecret": PRODUCT_SECRET}
WIFI = {"ssid": "hall", "password": PASSWORD}
IDENTITY = {"productKey": KEY, "deviceName": "SN-0042", "deviceSecret": DEVICE_SECRETS[0]}
CSV = "\n".join(
    ["deviceName,productKey,deviceSecret,batch"]
    + [f"SN-{n:04},{KEY},{DEVICE_SECRETS[n]},batch 7" for n in range(2)]
)
CHIP = """
'''Plays the chip: what esptool would say, and the flash in a file beside.'''
import os, pathlib, sys
words = sys.argv[1:]
print("Connected to ESP32 on", words[words.index("--port") + 1])
print("MAC:                24:6f:28:aa:bb:cc")
print("Detected flash size: 4MB")
flash = pathlib.Path(__file__).with_name("flash")
if "read-flash" in words:
    at, size, path = words[-3:]
    path = pathlib.Path(path)
    print("mode", oct(path.stat().st_mode))
    path.write_bytes(flash.read_bytes()[int(at, 0) :][: int(size, 0)])
if "write-flash" in words:
    print("mode", oct(pathlib.Path(words[-1]).stat().st_mode))
    print("Wrote", os.path.getsize(words[-1]), "bytes: Hash of data verified.")
"""


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    names = ["DeviceSecret 0", "DeviceSecret 1", "DeviceSecret 2"]
    known = dict(zip(names, DEVICE_SECRETS, strict=True))
    made = Watched(
        tmp_path, {**known, "ProductSecret": PRODUCT_SECRET, "Wi-Fi password": PASSWORD}
    )
    made.file("product.json", json.dumps(PRODUCT))
    made.file("wifi.json", json.dumps(WIFI))
    made.file("device.json", json.dumps(IDENTITY))
    made.file("devices.csv", CSV)
    return made


def records(watched: Watched, *names: str) -> list[str | Path]:
    """Options that name the JSON files."""
    return [word for name in names for word in (f"--{name}", watched.folder / f"{name}.json")]


@pytest.mark.parametrize(
    "product",
    [
        f'{{"productKey": "{KEY}", "productSecret": "{PRODUCT_SECRET}',
        f'{{"productKey": "{PRODUCT_SECRET} !"}}',
        f'{{"productKey": "{KEY}", "productSecret": "{PRODUCT_SECRET} !"}}',
        f'{{"productKey": "{KEY}", "region": ["{PRODUCT_SECRET}"]}}',
        f'{{"productKey": "{KEY}", "keepalive": "{PRODUCT_SECRET}"}}',
        f'{{"productKey": "{KEY}", "deviceNamePrefix": "{PRODUCT_SECRET}{PRODUCT_SECRET}"}}',
        f'["{PRODUCT_SECRET}"]',
    ],
    ids=["torn", "as key", "with a space", "as region", "as number", "as prefix", "a list"],
)
def test_an_image_is_refused_without_repeating_why(watched: Watched, product: str) -> None:
    watched.file("product.json", product)
    output = watched.folder / "flash.bin"
    done = watched.run("tools.image", *records(watched, "product"), "--output", output)
    assert done.status == 1
    assert f"error: {watched.folder}/product.json: " in done.output
    assert not output.exists()


def test_an_image_is_for_this_user_only_also_over_one_that_was_not(watched: Watched) -> None:
    output = watched.file("flash.bin", b"of an older release")
    output.chmod(0o644)
    words = [*records(watched, "product", "wifi"), "--list", "--output", output]
    done = watched.run("tools.image", *words)
    assert done.status == 0, done.output
    assert "/product.json" in done.output
    assert output.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_an_image_that_is_not_finished_shows_nothing(watched: Watched, error: str) -> None:
    output = watched.folder / "flash.bin"
    words = [*records(watched, "product", "wifi"), "--output", output]
    done = watched.run("tools.image", *words, crash=f"{error} open {output}")
    assert done.status != 0
    assert not output.exists()


def test_flashing_keeps_the_identity_to_itself(watched: Watched, stock: Path) -> None:  # noqa: F811
    """Read from the chip, put into the new image, written: by way of private files."""
    watched.module("esptool", CHIP)
    layout = stock_layout(4 << 20, "1.25.0")
    image = make_image({"/device.json": json.dumps(IDENTITY).encode()}, layout)
    whole = stock.read_bytes()
    before = b"\xff" * 0x1000 + whole + b"\xff" * (layout.offset - 0x1000 - len(whole)) + image
    watched.file("site/flash", before)
    words = [*records(watched, "product", "wifi"), "--firmware", stock, "--port", "/dev/ttyUSB0"]
    done = watched.run("tools.flash", *words, "--keep-identity")
    assert done.status == 0, done.output
    assert "  found\n" in done.output and "written and verified" in done.output
    assert "mode 0o100600" in done.output
    journal = watched.journal()
    for step in ("flash-id", "read-flash", "write-flash"):
        assert step in journal


def test_flashing_asks_first_and_ends_where_nobody_answers(
    watched: Watched,
    stock: Path,  # noqa: F811
) -> None:
    watched.module("esptool", CHIP)
    words = [*records(watched, "product", "wifi"), "--firmware", stock, "--port", "/dev/ttyUSB0"]
    done = watched.run("tools.flash", *words)
    assert done.status == 2
    assert 'error: no answer to "Go on?"' in done.output
    assert "write-flash" not in watched.journal()
    done = watched.run("tools.flash", *words, typed="n\n")
    assert (done.status, "nothing was changed" in done.output) == (1, True)


@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_a_flashing_that_stops_half_way_leaves_no_secret_behind(
    watched: Watched,
    stock: Path,  # noqa: F811
    error: str,
) -> None:
    output = watched.file("whole.bin", b"of an older release")
    output.chmod(0o644)
    words = [*records(watched, "product", "wifi"), "--firmware", stock, "--output", output]
    done = watched.run("tools.flash", *words, crash=f"{error} subprocess.Popen merge-bin")
    assert done.status != 0


def test_a_merged_flash_is_for_this_user_only_also_over_one_that_was_not(
    watched: Watched,
    stock: Path,  # noqa: F811
) -> None:
    output = watched.file("whole.bin", b"of an older release")
    output.chmod(0o644)
    words = [*records(watched, "product", "wifi", "device"), "--firmware", stock]
    done = watched.run("tools.flash", *words, "--output", output)
    assert done.status == 0, done.output
    assert PRODUCT_SECRET.encode() in output.read_bytes()
    assert output.stat().st_mode & 0o777 == 0o600
    assert "merge-bin" in watched.journal()


def test_an_nvs_partition_is_for_this_user_only_also_over_one_that_was_not(
    watched: Watched,
) -> None:
    output = watched.file("nvs.bin", b"of an older release")
    output.chmod(0o644)
    words = ["nvs", *records(watched, "product"), "--output", output]
    done = watched.run("tools.provision", *words)
    assert done.status == 0, done.output
    assert PRODUCT_SECRET.encode() in output.read_bytes()
    assert output.stat().st_mode & 0o777 == 0o600
    assert "esp_idf_nvs_partition_gen" in watched.journal()


def test_images_for_a_gang_programmer_are_for_this_user_only(watched: Watched) -> None:
    folder = watched.folder / "images"
    folder.mkdir()
    older = watched.file("images/SN-0000.part", b"of an interrupted run")
    older.chmod(0o644)
    csv = watched.folder / "devices.csv"
    done = watched.run("tools.provision", csv, *records(watched, "wifi"), "--images", folder)
    assert done.status == 0, done.output
    listed = (folder / "images.csv").read_text()
    assert "SN-0000" in listed and watched.secrets.seen_in(listed) == []
    assert [p.stat().st_mode & 0o777 for p in sorted(folder.glob("*.bin"))] == [0o600] * 2


@pytest.mark.parametrize(
    "text",
    [
        CSV.replace(f"SN-0001,{KEY}", "SN-0001"),
        CSV.replace(DEVICE_SECRETS[1], f"{DEVICE_SECRETS[1]} {PRODUCT_SECRET}"),
        CSV.replace("SN-0001", f"{DEVICE_SECRETS[2]} !"),
        CSV.replace("batch 7", f'"{DEVICE_SECRETS[2]}'),
        CSV.replace("deviceName", PRODUCT_SECRET),
    ],
    ids=["a column short", "with a space", "as DeviceName", "quote open", "in the header"],
)
def test_a_bad_csv_is_refused_without_repeating_it(watched: Watched, text: str) -> None:
    watched.file("devices.csv", text)
    csv = watched.folder / "devices.csv"
    done = watched.run("tools.provision", csv, "--port", "/dev/null")
    assert done.status == 1
    assert f"error: {csv}: line " in done.output


def test_the_board_command_shows_no_secret(watched: Watched) -> None:
    """It builds an image, boots it, and keeps what the board learns; twice, so it is reused."""
    words: list[str | Path] = [*records(watched, "product", "wifi"), "--ntp", "blocked"]
    words += ["--folder", watched.folder / "board", "--resolve", "*=127.0.0.1:1"]
    keep = (
        "\x03import os; f = open('/device.json', 'w'); f.write('{}'); f.close(); os.listdir('/')\n"
    )
    first = watched.run("tools.board", *words, typed=keep)
    assert "KeyboardInterrupt" in first.output and "'device.json'" in first.output, first.output
    again = watched.run("tools.board", *words, typed="\x03")
    assert "device.json of the last run is on the flash again" in again.output
    given = watched.run("tools.board", *words, *records(watched, "device"), typed="\x03")
    assert given.status == 0, given.output


@pytest.mark.parametrize("name", ["product", "wifi", "device"])
def test_the_board_command_refuses_a_torn_file_without_repeating_it(
    watched: Watched, name: str
) -> None:
    path = watched.folder / f"{name}.json"
    path.write_bytes(path.read_bytes()[:-2])
    words = [*records(watched, "product", "wifi", "device"), "--folder", watched.folder / "board"]
    done = watched.run("tools.board", *words)
    assert done.status == 1
    assert done.output.startswith(f"error: {path}: "), done.output


def test_a_watched_tool_that_leaks_is_found_out(watched: Watched) -> None:
    """What the tests above rest on: each way out of a tool is looked at."""
    secret = DEVICE_SECRETS[0]
    with pytest.raises(pytest.fail.Exception, match="said: "):
        watched.check(f"a {secret[:9]}\n{secret[9:]}")
    turned = f"import os; os.system('true ' + '{secret[::-1]}'[::-1])"  # not in its own arguments
    with pytest.raises(pytest.fail.Exception, match="arguments or the environment"):
        watched.run("timeit", "-n", "1", turned)
    (watched.folder / "journal").unlink()
    open_to_all = watched.folder / "open"
    open_to_all.write_text(secret)
    with pytest.raises(pytest.fail.Exception, match="others can read"):
        watched.check("")
    open_to_all.unlink()
    left = watched.file("temporary/left", secret)
    with pytest.raises(pytest.fail.Exception, match="left behind"):
        watched.check("")
    left.unlink()
    watched.check(CRASHED)
