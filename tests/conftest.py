"""Shared fixtures: device code in MicroPython, a local platform, and boards that connect to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tools.board import Board
from tools.deploy import DeployError
from tools.deploy.ports import check_port
from tools.image import build_image
from tools.image.records import FOLDER
from tools.iot_platform import LocalPlatform
from tools.micropython import run_script

pytest_plugins = [
    "platform_devices",
    "platform_gateways",
    "platform_process",
    "serial_boards",
    "console_client",
    "console_browser",
]

DEVICE_TESTS = Path(__file__).parent / "device"

PRODUCT_KEY = "a1ExpAkj9Hi"
PRODUCT_SECRET = "ffFnFlKQW3HYjjPR"
MAC = "246f28aabbcc"
WIFI = {"ssid": "bench", "password": "correct horse"}
# The tests must not use the user's own product.json and wifi.json in the root.
os.environ[FOLDER] = str(Path(__file__).parent / "no-records")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--picture", type=Path, help="make the README's picture of the console")
    parser.addoption("--port", help="serial port of a real board that may lose its identity")


def pytest_configure(config: pytest.Config) -> None:
    """Report an invalid port once, before any test."""
    port = config.getoption("--port")
    if port:
        try:
            check_port(port)
        except DeployError as e:
            raise pytest.UsageError(f"--port: {e}") from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --port, run only the tests that a real board can run."""
    if config.getoption("--port"):
        items[:] = [item for item in items if "plug_in" in getattr(item, "fixturenames", ())]


@pytest.fixture
def on_device() -> Callable[..., Any]:
    """Run a script of tests/device in MicroPython; the JSON on its last line is the result.

    `on_device("hmac_cases.py", cases)` passes `cases` as JSON in a file, whose path is the
    script's first argument. The script sees only lib/ and the frozen modules.
    """

    def run(script: str, given: Any = None, *, heap: str = "2M", timeout: float = 60) -> Any:
        output = run_script(DEVICE_TESTS / script, given, heap=heap, timeout=timeout)
        return json.loads(output.splitlines()[-1])

    return run


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    """A local platform with one product, dynamic registration on, and one device of it."""
    with LocalPlatform() as running:
        running.registry.add_product(PRODUCT_KEY, PRODUCT_SECRET)
        running.registry.add_device(PRODUCT_KEY, MAC)
        yield running


def product_of(platform: LocalPlatform, **fields: Any) -> dict[str, Any]:
    """A product.json that points a board to `platform`, changed by `fields`; None removes one."""
    made = {
        "productKey": PRODUCT_KEY,
        "productSecret": PRODUCT_SECRET,
        "registerHost": "localhost",
        "registerPort": platform.https_port,
        "mqttHost": "localhost",
        "mqttPort": platform.mqtt_tls_port,
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


class MakeBoard(Protocol):
    def __call__(self, product: Any = ..., device: Any = ..., **image: Any) -> Board: ...


@pytest.fixture
def make_board(platform: LocalPlatform, tmp_path: Path) -> MakeBoard:
    """Make a board with the package on its flash, set up to connect to the local platform.

    product, device: records as dicts, or bytes that are written unchanged. image: further
    arguments of `build_image`.
    """

    def make(product: Any = None, device: Any = None, **image: Any) -> Board:
        if product is None:
            product = product_of(platform)
        content: dict[str, Any] = {"wifi": WIFI, "roots": [platform.ca_der], "check": False}
        content |= image
        flash = build_image(product or None, device=device, **content)
        return Board(flash, tmp_path / "board", mac=MAC, resolve={"*": "127.0.0.1"})

    return make
