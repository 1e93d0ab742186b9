"""Runs a command: `python -m tools.iot_platform device add ...`."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tools.command import run
from tools.iot_platform.console import words
from tools.iot_platform.console.arguments import parser
from tools.iot_platform.console.client import Client, ClientError, Remote
from tools.iot_platform.console.paging import MOST
from tools.iot_platform.console.place import NAME, Place
from tools.iot_platform.rules.names import Identity

Opener = Callable[[Path], AbstractContextManager[Client]]
"""Opens a database that no platform uses."""
_POLL = 0.5
_NEEDS_PLATFORM = ("publish", "disconnect", "events --follow")


def main(arguments: list[str], database: Path, open_database: Opener) -> int:
    """Returns the exit code. database: the default."""
    options = parser(database).parse_args(arguments)

    def work() -> int:
        with _client(options, open_database) as client:
            return getattr(Actions(client, options.json), options.action)(options) or 0

    return run(work, ClientError, ValueError, sqlite3.Error)


def _client(options: argparse.Namespace, open_database: Opener) -> AbstractContextManager[Client]:
    place = options.database.with_name(NAME)
    named = options.console
    if named is not None and "://" in named:
        return nullcontext(Remote(Place(named)))
    if named is not None:
        return nullcontext(Remote(Place.read(Path(named))))
    if place.exists():
        remote = Remote(Place.read(place))
        try:
            remote.get("status")
        except ClientError:
            pass  # left behind by a platform that was killed
        else:
            return nullcontext(remote)
    print(f"no platform is running: working on {options.database}", file=sys.stderr)
    return open_database(options.database)


class Actions:
    """One method for each action of `arguments`."""

    def __init__(self, client: Client, as_json: bool) -> None:
        self._client = client
        self._as_json = as_json

    def status(self, _: argparse.Namespace) -> None:
        """Counts devices by state."""
        found = self._client.get("status")
        lines = [f"{name:<17} {value}" for name, value in found["counts"].items()]
        self._say(found, "\n".join(lines))

    # Products

    def product_list(self, options: argparse.Namespace) -> None:
        """Lists the products."""
        found = self._all("products", search=options.search)
        lines = map(words.product_line, found)
        self._say(found, "\n".join(lines) or "no products; `product add` adds one")

    def product_add(self, options: argparse.Namespace) -> None:
        """Adds a product."""
        given: dict[str, Any] = {"productKey": options.product_key}
        if options.file is not None:
            given = _product_file(options.file, options.product_key)
        if options.gateway:
            given["nodeType"] = "gateway"
        if options.registration_free:
            given["registrationFree"] = True
        if options.dynamic_registration is not None or "dynamicRegistration" not in given:
            given["dynamicRegistration"] = options.dynamic_registration != "off"
        made = self._client.post("products", **given)
        self._say(made, f"added {words.product_line(made)}")

    def product_switch(self, options: argparse.Namespace) -> None:
        """Switches dynamic registration of a product."""
        on = options.on == "on"
        made = self._client.post("products", options.product_key, dynamicRegistration=on)
        self._say(made, f"dynamic registration of {options.product_key} is {options.on}")

    def product_secret(self, options: argparse.Namespace) -> None:
        """Prints a ProductSecret."""
        found = self._client.post("products", options.product_key, "secret")
        self._say(found, found["productSecret"])

    # Devices

    def device_list(self, options: argparse.Namespace) -> None:
        """Lists devices."""
        found = self._all(
            "devices",
            product=options.product,
            search=options.search,
            identity=options.identity,
            connection=options.connection,
            disabled=options.disabled,
            failing=options.failing,
            gateway=options.gateway,
        )
        if not found and options.product is not None:
            self._client.get("products", options.product)  # says so if there is none
        self._say(found, "\n".join(map(words.device_line, found)) or "no such devices")

    def device_add(self, options: argparse.Namespace) -> None:
        """Pre-registers devices."""
        secret = None
        if options.secret_file is not None:
            if len(options.devices) > 1:
                raise ClientError("--secret-file: for one device only")
            secret = options.secret_file.read_text("utf-8").strip()
        for device in options.devices:
            made = self._client.post(
                "devices",
                productKey=device.product_key,
                deviceName=device.device_name,
                deviceSecret=secret,
            )
            self._say(made, f"added {device}")

    def device_import(self, options: argparse.Namespace) -> None:
        """Pre-registers the devices of a CSV list."""
        try:
            text = options.file.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise ClientError(f"{options.file}: not UTF-8") from None
        try:
            made = self._client.post("devices", "import", productKey=options.product_key, csv=text)
        except ClientError as error:
            raise ClientError(f"{options.file}: {error}") from None
        there = f", {made['thereAlready']} were there already" if made["thereAlready"] else ""
        self._say(made, f"added {made['added']} devices{there}")

    def device_do(self, options: argparse.Namespace) -> None:
        """Shows devices, or does one of `arguments.ON_DEVICES` to them."""
        self._check_running(options.what)
        for device in options.devices:
            if options.what == "show":
                found = self._client.get("devices", *device)
                self._say(found, words.device_lines(found))
                continue
            made = self._client.post("devices", *device, options.what)
            said = {
                "reset": "may register again",
                "disable": "disabled",
                "enable": "enabled",
                "delete": "deleted",
                "disconnect": "disconnected" if made.get("disconnected") else "not online",
                "unbind": "taken from its gateway",
            }[options.what]
            self._say(made, f"{device} {said}")

    def device_secret(self, options: argparse.Namespace) -> None:
        """Prints a DeviceSecret."""
        found = self._client.post("devices", *options.device, "secret")
        self._say(found, found["deviceSecret"])

    def publish(self, options: argparse.Namespace) -> int:
        """Sends a message; returns 1 if it was not sent."""
        self._check_running("publish")
        made = self._client.post(
            "devices",
            *options.device,
            "publish",
            topic=options.topic,
            payload=options.payload,
            encoding="hex" if options.hex else None,
            qos=options.qos,
        )
        queued = "queued for its next connection" if made.get("queued") else "sent"
        self._say(made, queued if made["sent"] else f"not sent: {made['reason']}")
        return 0 if made["sent"] else 1

    # Faults

    def fault_list(self, options: argparse.Namespace) -> None:
        """Lists the faults that are on, of one device or of all."""
        if options.device is not None:
            found = self._client.get("devices", *options.device, "faults")["items"]
            self._say(found, "\n".join(map(words.fault_words, found)) or "no faults are on")
            return
        found = self._client.get("faults")["items"]
        lines = [
            f"{words.pair(entry):<40} {words.fault_words(fault)}"
            for entry in found
            for fault in entry["faults"]
        ]
        self._say(found, "\n".join(lines) or "no faults are on")

    def fault_on(self, options: argparse.Namespace) -> None:
        """Switches a fault on."""
        given = {"fault": options.fault, "times": options.times}
        for name in ("seconds", "code", "address", "problem"):
            if getattr(options, name) is not None:
                given[name] = getattr(options, name)
        self._say_faults(options.device, self._client.post(*_faults(options.device), **given))

    def fault_off(self, options: argparse.Namespace) -> None:
        """Switches a fault off, or all of a device."""
        made = self._client.post(*_faults(options.device), "clear", fault=options.fault)
        self._say_faults(options.device, made)

    def _say_faults(self, device: Identity, made: Any) -> None:
        lines = [f"{device} {words.fault_words(fault)}" for fault in made["items"]]
        self._say(made, "\n".join(lines) or f"{device} no faults are on")

    # Traffic

    def events(self, options: argparse.Namespace) -> None:
        """Prints the traffic, and follows it if asked to."""
        wanted = {
            "device": options.device,
            "group": options.group,
            "refused": options.refused,
        }
        if not 1 <= options.limit <= MOST:
            raise ClientError(f"-n: expected 1 to {MOST}")
        last = -1
        page = self._client.get("events", limit=options.limit, **wanted)
        while True:
            for event in reversed(page["items"]):
                if event["number"] > last:
                    self._say(event, words.event_line(event))
            last = page["lastEvent"]
            if not options.follow:
                return
            self._check_running("events --follow")
            sys.stdout.flush()
            time.sleep(_POLL)
            page = self._client.get("events", limit=MOST, **wanted)

    def _all(self, path: str, **query: Any) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        while True:
            page = self._client.get(path, offset=len(found), limit=MOST, **query)
            found += page["items"]
            if not page["items"] or len(found) >= page["total"]:
                return found

    def _check_running(self, what: str) -> None:
        if not self._client.running and what in _NEEDS_PLATFORM:
            raise ClientError(f"{what}: no platform is running; start one with `make platform`")

    def _say(self, value: Any, text: str) -> None:
        print(json.dumps(value) if self._as_json else text)


def _faults(device: Identity) -> tuple[str, ...]:
    return ("devices", *device, "faults")


def _product_file(path: Path, product_key: str | None) -> dict[str, Any]:
    """What a board's product.json says of its product."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError:
        raise ClientError(f"{path}: not JSON") from None
    if not isinstance(content, dict):
        raise ClientError(f"{path}: expected an object")
    names = ("productKey", "productSecret", "nodeType", "dynamicRegistration", "registrationFree")
    given = {name: content[name] for name in names if name in content}
    if product_key is not None:
        given["productKey"] = product_key
    if content.get("registration") == "mqtt-free":
        given.setdefault("registrationFree", True)
    return given
