"""aliyun-iot-linkkit, the platform vendor's own Python SDK, as a peer on the same platform."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.bench.place import PRODUCT_KEY, PRODUCT_SECRET, SENSOR_KEY, Place
from tools.layout import ROOT

PYTHON = ROOT / ".venv" / "linkkit" / "bin" / "python"
_SECONDS = 60


class LinkkitError(Exception):
    """The SDK did not get through; the message is what it said."""


def run(
    place: Place,
    flow: str,
    *,
    post: bool = True,
    count: int = 0,
    then: Callable[[], Any] = lambda: None,
) -> dict[str, float]:
    """Play a flow of `vendor_flows`: the seconds that its steps took.

    post: whether the flow ends with an answered property post. count: of sub-devices.
    then: called when the flow is over and its connections are still open.
    """
    name = place.new_mac()
    names = [f"{name}-{number:04}" for number in range(count)]
    place.platform.registry.add_devices(SENSOR_KEY, names)
    given = {
        "ports": {"443": place.register_port, "8883": place.mqtt_port},
        "root": place.platform.ca_pem.decode(),
        "productKey": PRODUCT_KEY,
        "productSecret": PRODUCT_SECRET,
        "deviceName": name,
        "deviceSecret": place.secret_of(name),
        "subdeviceKey": SENSOR_KEY,
        "subdevices": names,
        "post": post,
    }
    with subprocess.Popen(
        [str(PYTHON), str(Path(__file__).with_name("vendor_flows.py")), flow],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(given) + "\n")
            process.stdin.flush()
            line = _line(process)
            then()
            process.stdin.write("\n")
            process.stdin.flush()
            process.wait(10)
        finally:
            process.kill()
    times: dict[str, float] = json.loads(line)
    return times


def _line(process: subprocess.Popen[str]) -> str:
    """The last line of the flow, within the deadline. Raises LinkkitError."""
    import selectors

    assert process.stdout is not None and process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(_SECONDS):
            raise LinkkitError(f"no result within {_SECONDS} s")
    line = process.stdout.readline()
    if not line:
        raise LinkkitError(process.stderr.read()[-2000:])
    return line
