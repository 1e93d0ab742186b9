"""What takes long: the longest message over a slow link, one that stalls, ids that wrap."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Literal

from tools.faults.bench import PRODUCT_KEY, Bench, script
from tools.faults.proxy import Fault, Proxy
from tools.faults.tally import Tally

BYTES = 262_144
RATE = 8000  # bytes a second
TIMEOUT = 10.0  # seconds, the session's own
HELD = 8.192  # seconds that the network may hold on to what has left
_LATE = 5.0  # seconds that a busy host may add


@dataclass(frozen=True)
class Case:
    """One of them. count: messages."""

    name: str
    do: Literal["publishes", "large", "stalled"]
    loop: Literal["run", "asyncio"] = "run"
    count: int = 1


CASES = (
    Case("262,144 bytes over 8 kB/s", "large"),
    Case("262,144 bytes over 8 kB/s, asyncio", "large", "asyncio"),
    Case("262,144 bytes that stall halfway", "stalled"),
    Case("262,144 bytes that stall halfway, asyncio", "stalled", "asyncio"),
    Case("70,000 messages with QoS 1", "publishes", count=70_000),
)


def long(bench: Bench, case: Case) -> Tally:
    """Try one case."""
    tally = Tally(f"session, {case.name}")
    (name,) = bench.devices(1)
    record = {"productKey": PRODUCT_KEY, "deviceName": name}
    record["deviceSecret"] = bench.secret_of(name)
    asked = json.dumps({"do": case.do, "loop": case.loop, "count": case.count}).encode()
    proxy = Proxy(bench.platform.mqtt_tls_port)
    if case.do != "publishes":
        proxy.buffer = 4096
        proxy.default = Fault("slow", rate=RATE)
    with proxy:
        product = bench.product(productSecret=None, mqttPort=proxy.port)
        main = script("session_long.py")
        image = bench.image(product, device=record, main=main, files={"/long.json": asked})
        with bench.board(image, hurry=1, heap="4M").power_on() as session:
            session.wait("^ready", 60)
            began = time.monotonic()
            if case.do == "stalled":
                session.step(BYTES / RATE / 2)
                proxy.strike("both dead")
            session.wait("^(done|failed) .*\n", 1200)
            took = time.monotonic() - began
    said = re.search(r"(?m)^(done|failed) (.*)$", session.output)
    told = f"{said[1]} {said[2]}" if said else "silence"
    if case.do == "large":
        fine = told == f"done {BYTES}"
        outcome = f"passed in {took:.0f} s"
    elif case.do == "stalled":
        most = BYTES / RATE / 2 + TIMEOUT + HELD + _LATE
        fine = told.startswith("failed") and "no answer in time" in told and took < most
        outcome = f"given up {took - BYTES / RATE / 2:.0f} s after it stalled"
    else:
        fine = told == f"done {(case.count - 1) % 65535 + 1}"
        outcome = f"all acknowledged, {case.count / took:,.0f} a second"
    tally.note(outcome if fine else "problem")
    if not fine:
        tally.problem(f"{told} after {took:.1f} s: {session.output[-300:]!r}")
    return tally.done(bench.leaks())
