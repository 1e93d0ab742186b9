"""Flows of the platform vendor's Python SDK, run in the SDK's own environment.

Reads JSON from standard input, plays the flow named on the command line, and prints one line of
JSON with the seconds that each step took. The imports are over before time is taken.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "linkkit"))
client = importlib.import_module("client")
BATCH = 30


def first(given: dict[str, Any]) -> dict[str, float]:
    """Register over HTTPS, connect, post a property."""
    began = time.perf_counter()
    made = client.Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        product_secret=given["productSecret"],
    )
    made.wait_for("register")
    made.wait_for("connect")
    return _posted(made, given, began)


def later(given: dict[str, Any]) -> dict[str, float]:
    """Connect, post a property."""
    began = time.perf_counter()
    made = client.Client(
        given, device_name=given["deviceName"], device_secret=given["deviceSecret"]
    )
    made.wait_for("connect")
    return _posted(made, given, began)


def mqtt(given: dict[str, Any]) -> dict[str, float]:
    """Register over MQTT, connect, post a property."""
    began = time.perf_counter()
    asking = client.Client(
        given,
        device_name=given["deviceName"],
        device_secret="",
        product_secret=given["productSecret"],
        auth_type="register",
    )
    asking.wait_for("connect")
    _, secret = asking.wait_for("register")
    made = client.Client(given, device_name=given["deviceName"], device_secret=secret)
    made.wait_for("connect")
    return _posted(made, given, began)


def _posted(made: Any, given: dict[str, Any], began: float) -> dict[str, float]:
    done = {"connected": time.perf_counter() - began}
    if given["post"]:
        client.post(made)
        done["posted"] = time.perf_counter() - began
    return done


def gateway(given: dict[str, Any]) -> dict[str, float]:
    """Connect; register, add and log in sub-devices."""
    made = client.Client(
        given, device_name=given["deviceName"], device_secret=given["deviceSecret"]
    )
    made.wait_for("connect")
    began = time.perf_counter()
    names, key = given["subdevices"], given["subdeviceKey"]
    for at in range(0, len(names), BATCH):
        made.sdk.gateway_register_subdev([[key, name] for name in names[at : at + BATCH]])
        entries = made.wait_for("register")["data"]
        signed = [[e["productKey"], e["deviceName"], e["deviceSecret"]] for e in entries]
        made.sdk.gateway_add_subdev_topo(signed)
        made.wait_for("add")
        made.sdk.gateway_login_subdev(signed)
        if made.wait_for("login")["code"] != 200:
            raise RuntimeError("login refused")
    return {"online": time.perf_counter() - began}


def main() -> None:
    given = json.loads(sys.stdin.readline())
    client.redirect(given["ports"])
    result = {"first": first, "later": later, "mqtt": mqtt, "gateway": gateway}[sys.argv[1]](given)
    print(json.dumps(result), flush=True)
    sys.stdin.readline()  # the host counts what has passed, and then lets go
    os._exit(0)  # the SDK's threads have no other end


if __name__ == "__main__":
    main()
