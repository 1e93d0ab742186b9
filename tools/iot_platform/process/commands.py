"""Commands typed at the running platform: what the console and the cloud API do for real."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.process import listings
from tools.iot_platform.process.command_words import known_device, read_number
from tools.iot_platform.process.fault_commands import fault
from tools.iot_platform.process.local import LocalPlatform
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.seed import SeedError, add_device, add_from_file, read_identity

_FORMATS = """\
formats:
  PK        a ProductKey; PK/DN (and GATEWAY) a device: a1ExpAkj9Hi/246f28aabbcc
  FILE      JSON: a board's product.json, or a list of products with "devices"
  TEXT      a word; with spaces or quotes in it put it in single quotes: 'a "b" c'
  JSON      as TEXT: set a1ExpAkj9Hi/246f28aabbcc '{"lamp": 1}'
  STATUS    0 created, 1 deleted, 2 enabled, 8 disabled
  CODE      1 to 255 of a CONNACK, a result code of a registration over HTTPS
  TIMES     1 if left out
  NAME=...  fault PK/DN lost|slow|certificate|refuse|disconnect [times=N|always] [seconds=S]
            [code=CODE] [address=IP] [problem=expired]"""


class Quit(Exception):
    """The operator wants the platform to end."""


@dataclass(frozen=True)
class Command:
    """One command. least, most: how many words follow it; most None: any number."""

    usage: str
    about: str
    least: int
    most: int | None
    run: Callable[[list[str]], str]


class Commands:
    """Runs command lines against a platform. A word with spaces is put in quotes."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._registry = platform.registry
        self._numbers = itertools.count(1)
        self._commands = {
            "help": Command("", "list the commands", 0, 0, self._help),
            "add-product": Command(
                "FILE", "add the products and devices of a JSON file", 1, 1, self._add_product
            ),
            "add-device": Command("PK/DN ...", "pre-register devices", 1, None, self._add_device),
            "products": Command("", "list the products", 0, 0, self._products),
            "devices": Command("[PK]", "list the devices", 0, 1, self._devices),
            "topology": Command("GATEWAY", "list a gateway's sub-devices", 1, 1, self._topology),
            "events": Command("[N]", "show the last events again: 20, or N", 0, 1, self._events),
            "switch": Command("PK on|off", "dynamic registration", 2, 2, self._switch),
            "reset": Command("PK/DN", "open dynamic registration again", 1, 1, self._reset),
            "disable": Command("PK/DN", "disable a device", 1, 1, self._disable),
            "enable": Command("PK/DN", "enable a device", 1, 1, self._enable),
            "delete": Command("PK/DN", "delete a device", 1, 1, self._delete),
            "disconnect": Command("PK/DN", "close its connection", 1, 1, self._disconnect),
            "publish": Command("PK/DN TOPIC TEXT", "send a message", 3, 3, self._publish),
            "set": Command("PK/DN JSON", "send thing/service/property/set", 2, 2, self._set),
            "rrpc": Command("PK/DN TEXT [TOPIC]", "ask it and show its answer", 2, 3, self._rrpc),
            "move": Command("PK/DN INSTANCE", "give it to another instance", 2, 2, self._move),
            "bootstrap": Command("PK/DN", "send thing/bootstrap/notify", 1, 1, self._bootstrap),
            "notify": Command(
                "GATEWAY PK/DN ...", "send thing/topo/add/notify", 2, None, self._notify
            ),
            "change": Command(
                "GATEWAY STATUS PK/DN ...", "send thing/topo/change", 3, None, self._change
            ),
            "unbind": Command("PK/DN", "take it from its gateway", 1, 1, self._unbind),
            "fault": Command(
                "NAME [CODE] [TIMES]",
                "whoever comes next: lost, refuse, stall, connack CODE, code CODE, clear",
                1,
                None,
                self._fault,
            ),
            "quit": Command("", "end the platform", 0, 0, self._quit),
        }

    def run(self, text: str) -> str:
        """Runs one line and returns what to show. Raises Quit; anything else wrong is shown."""
        try:
            words = shlex.split(text)
        except ValueError as error:
            quote = "quotation" in str(error)
            return "a quote is not closed" if quote else "nothing follows the last backslash"
        if not words:
            return ""
        command = self._commands.get(words[0])
        if command is None:
            return f"no command {words[0]!r}; `help` lists them"
        given = len(words) - 1
        if given < command.least or (command.most is not None and given > command.most):
            return f"usage: {words[0]} {command.usage}"
        try:
            return command.run(words[1:])
        except ApiError as error:
            return str(error)
        except (SeedError, ValueError, LookupError) as error:
            return str(error.args[0])

    def _help(self, _: list[str]) -> str:
        rows = [(f"{name} {c.usage}".strip(), c.about) for name, c in self._commands.items()]
        rows.insert(
            -1, ("fault PK/DN [NAME ...]", "one device: list, a switch with NAME=VALUE, or clear")
        )
        width = max(len(usage) for usage, _ in rows) + 2
        return "\n".join([*(f"{usage:<{width}}{about}" for usage, about in rows), _FORMATS])

    # Registry

    def _add_product(self, words: list[str]) -> str:
        added = add_from_file(self._registry, Path(words[0]).expanduser())
        return "added " + ", ".join(added) if added else "nothing to add: all of it exists already"

    def _add_device(self, words: list[str]) -> str:
        added = []
        for device in [read_identity(word) for word in words]:
            new = add_device(self._registry, device)
            if new:
                self._platform.record.add("admin", device, what="add")
            added += new
        return "added " + ", ".join(added) if added else "nothing to add: all of it exists already"

    def _products(self, _: list[str]) -> str:
        return listings.products(self._platform)

    def _devices(self, words: list[str]) -> str:
        return listings.devices(self._platform, *words)

    def _topology(self, words: list[str]) -> str:
        return listings.topology(self._platform, self._device(words[0]))

    def _events(self, words: list[str]) -> str:
        return listings.events(self._platform, read_number(words[0], 1) if words else 20)

    def _switch(self, words: list[str]) -> str:
        if words[1] not in ("on", "off"):
            raise ValueError(f"{words[1]!r}: expected on or off")
        self._registry.set_dynamic_registration(words[0], words[1] == "on")
        what = f"dynamic registration {words[1]}"
        self._platform.record.add("admin", (words[0], None), what=what)
        return f"dynamic registration of {words[0]} is {words[1]}"

    # Devices

    def _reset(self, words: list[str]) -> str:
        self._platform.reset(*self._device(words[0]))
        return "may be registered again"

    def _disable(self, words: list[str]) -> str:
        self._platform.disable(*self._device(words[0]))
        return "disabled"

    def _enable(self, words: list[str]) -> str:
        self._platform.enable(*self._device(words[0]))
        return "enabled"

    def _delete(self, words: list[str]) -> str:
        self._platform.delete(*self._device(words[0]))
        return "deleted"

    def _disconnect(self, words: list[str]) -> str:
        done = self._platform.disconnect(*self._device(words[0]))
        return "disconnected" if done else "not online"

    def _publish(self, words: list[str]) -> str:
        return _sent(self._platform.publish(*self._device(words[0]), words[1], words[2].encode()))

    def _set(self, words: list[str]) -> str:
        device = self._device(words[0])
        try:
            params = json.loads(words[1])
        except ValueError:
            raise ValueError(f"{words[1]!r}: expected JSON (put it in single quotes)") from None
        body = {
            "id": str(next(self._numbers)),
            "version": "1.0",
            "params": params,
            "method": "thing.service.property.set",
        }
        topic = f"/sys/{device}/thing/service/property/set"
        payload = json.dumps(body, separators=(",", ":")).encode()
        return _sent(self._platform.publish(*device, topic, payload))

    def _rrpc(self, words: list[str]) -> str:
        device = self._device(words[0])
        try:
            topic = words[2] if len(words) > 2 else None
            answer = self._platform.rrpc(*device, words[1].encode(), topic)
        except TimeoutError as error:
            return str(error)
        return answer.decode("utf-8", "backslashreplace")

    def _move(self, words: list[str]) -> str:
        device = self._device(words[0])
        told = self._platform.move(*device, words[1])
        then = "it was told to ask again" if told else "it could not be told"
        if not told and not self._platform.online(*device):
            then = "it is offline"
        return f"belongs to {words[1]} now; {then}"

    def _bootstrap(self, words: list[str]) -> str:
        return _sent(self._platform.notify_bootstrap(*self._device(words[0])))

    # Gateways

    def _notify(self, words: list[str]) -> str:
        return _sent(
            self._platform.notify_topology_add(self._device(words[0]), self._all(words[1:]))
        )

    def _change(self, words: list[str]) -> str:
        return _sent(
            self._platform.notify_topology_change(
                self._device(words[0]), read_number(words[1]), self._all(words[2:])
            )
        )

    def _unbind(self, words: list[str]) -> str:
        was_bound = self._platform.unbind(*self._device(words[0]))
        return "taken from its gateway" if was_bound else "belongs to no gateway"

    def _fault(self, words: list[str]) -> str:
        return fault(self._platform, words)

    def _quit(self, _: list[str]) -> str:
        raise Quit

    def _device(self, word: str) -> Identity:
        return known_device(self._platform, word)

    def _all(self, words: list[str]) -> list[Identity]:
        return [self._device(word) for word in words]


def _sent(sent: bool) -> str:
    return "sent" if sent else "not sent: offline or not subscribed (see the log)"
