"""Faults of a soak that come from outside: network, platform, time, radio, names."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Sequence

from tools.faults.network import DIRECTIONS, GARBAGE
from tools.faults.proxy import Fault, Kind
from tools.faults.soak_life import OVER_HTTPS, FaultKind, Life, Over
from tools.iot_platform import Certificate, Event

_LENGTHS = {"up": 600, "down": 1400}
"""Bytes of a connection in which a fault may hit: handshake, request, answer."""

_YEAR = 365 * 86400
CERTIFICATE = Certificate(not_after=datetime.datetime.now() + datetime.timedelta(days=2 * 365))
"""The platform's own, so that it seems expired to a board that believes a lie of `_LIE` years."""
_LIE = 5
"""Years ahead: a board believes up to 20."""
_RETURN = 30
"""Tries in which a board must be back: each may fail because the host is too busy."""

# --- the connection


def _connection(kind: Kind) -> FaultKind:
    """One to three connections in a row fail; one where the board must wait for its deadline."""

    def fault(life: Life) -> Fault:
        way = life.rng.choice(DIRECTIONS)
        seconds = 0.002 if kind == "drip" else life.rng.uniform(0.02, 1)
        after = life.rng.randrange(_LENGTHS[way])
        return Fault(kind, way, after, seconds, data=life.rng.choice(GARBAGE))

    def inject(life: Life) -> bool:
        count = 1 if kind in ("stall", "drip", "delay") else life.rng.randint(1, 3)
        proxy = life.bench.mqtt
        if life.rng.random() < 0.5:
            life.invalidate()
            if life.way in OVER_HTTPS:
                proxy = life.bench.https
        before = len(proxy.connections)
        proxy.expect([fault(life) for _ in range(count)])
        life.boot()
        return any(passed.hit for passed in proxy.connections[before : before + count])

    names = {
        "cut": "connection cut after byte K",
        "reset": "connection reset after byte K",
        "stall": "silence after byte K",
        "delay": "answers delayed",
        "drip": "bytes come one by one",
        "garbage": "garbage before TLS",
        "refuse": "connection closed at once",
    }
    return FaultKind(f"network: {names[kind]}", inject)


# --- the platform's answers


def _since(life: Life, before: Sequence[Event], kind: str, what: str) -> bool:
    """Whether the platform has recorded a fault since."""
    last = before[-1].number if before else 0
    return any(
        event.kind == kind and what in (event.details.get("what"), event.details.get("reason"))
        for event in life.events()
        if event.number > last
    )


def _answer_lost(life: Life) -> bool:
    life.invalidate()
    before = life.events()
    stay_open = life.rng.random() < 0.5
    life.bench.platform.faults.drop_next_register_answer(life.rng.randint(1, 3), stay_open)
    life.boot()
    return _since(life, before, "fault", "registration answer lost")


def _registration_refused(life: Life) -> bool:
    life.invalidate()
    before = life.events()
    code = life.rng.choice([429, 460, 500, 6100, 6288, 6289, 6600, 4711])
    life.bench.platform.faults.register_code(code, life.rng.randint(1, 4))
    life.boot()
    return _since(life, before, "register", "injected fault")


def _connect_refused(life: Life) -> bool:
    before = life.events()
    code = life.rng.choice([1, 2, 3, 4, 5, 255, None])
    life.bench.platform.faults.connack(code, life.rng.randint(1, 4))
    life.boot()
    return _since(life, before, "connect", "injected fault")


def _odd_answers(life: Life) -> list[bytes]:
    """HTTP answers of many wrong kinds."""
    granted = {
        "deviceName": life.board.mac,
        "deviceSecret": "s" * 32,
        "productKey": life.identity.product_key,
    }
    bodies = [
        *({"code": code, "message": "?"} for code in ("200", True, None, 10**30)),
        {"code": 200},
        {"code": 200, "data": [granted]},
        *(
            {"code": 200, "data": granted | change}
            for change in (
                {"deviceName": "another"},
                {"productKey": "a1Another00"},
                {"deviceSecret": ""},
                {"deviceSecret": "s" * 65},
                {"deviceSecret": "a b"},
                {"deviceSecret": 12},
            )
        ),
        [1, 2],
        200,
        None,
    ]
    texts = [json.dumps(body).encode() for body in bodies]
    texts += [b"<html>captive portal</html>", b"[" * 1500, life.rng.randbytes(200), b"x" * 10**6]
    ok = b"HTTP/1.1 200 OK\r\n"
    lines = [b"301 Moved\r\nLocation: https://x/", b"404 Not Found", b"429 Busy", b"502 Bad"]
    heads = [b"-5", b"5\r\nContent-Length: 6", b"9" * 40, b"900", b""]
    return [
        *(ok + b"Content-Length: %d\r\n\r\n" % len(text) + text for text in texts),
        *(b"HTTP/1.1 " + line + b"\r\n\r\nno" for line in lines),
        *(ok + b"Content-Length: " + head + b"\r\n\r\n{}" for head in heads),
        ok + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        ok + b"X: y\r\n" * 1000,
        life.rng.randbytes(300),
        b"",
    ]


def _odd_http(life: Life) -> bool:
    life.invalidate()
    before = life.events()
    for _ in range(life.rng.randint(1, 3)):
        life.bench.platform.faults.raw_http(life.rng.choice(_odd_answers(life)))
    life.boot()
    return _since(life, before, "fault", "raw HTTP answer")


def _replies_lost(life: Life) -> bool:
    """A gateway asks for its sub-devices, and the replies are lost, late or doubled."""
    if life.rng.random() < 0.5:
        life.invalidate_subdevices()
    before = life.events()
    left = life.rng.randint(1, 3)
    copies = life.rng.choice([0, 0, 2])

    def edit(topic: str, payload: bytes) -> list[tuple[float, str, bytes]]:
        nonlocal left
        left -= 1
        return [(0, topic, payload)] * (1 if left < 0 else copies)

    life.bench.platform.faults.edit_reply = edit
    life.boot()
    return _since(life, before, "fault", "reply edited")


def _thrown_out(life: Life) -> bool:
    """The session ends when all is well; perhaps Wi-Fi or names are gone when it does."""
    with life.power_on() as session:
        if life.follow(session) != "goal":
            return False
        since = len(session.output)
        gone = life.rng.choice(["nothing", "nothing", "wifi", "names"])
        if gone == "wifi":
            life.board.wifi = {}
        elif gone == "names":
            life.board.resolve = {}
        hit = life.bench.platform.disconnect(*life.identity)
        if gone != "nothing":
            life.follow(session, tries=2, since=since)
            life.tidy()
        life.follow(session, since=since)
        return hit


# --- time, radio, names


def _clock(life: Life) -> bool:
    life.board.ntp = life.rng.choice(["blocked", "short", "lies:0", "lies:9000000000"])
    said = "NTP tells an impossible" if life.board.ntp.startswith("lies") else "no NTP"
    return f"clock: {said}" in life.boot()[1]


def _believed(life: Life) -> bool:
    """NTP is years ahead, then it tells the truth or is blocked: the board must come back."""
    if life.rng.random() < 0.5:
        life.invalidate()
    life.board.ntp = f"lies:{int(time.time()) + _LIE * _YEAR}"
    after = life.rng.choice(["ok", "blocked"])
    with life.power_on() as session:
        back = life.follow(session, tries=life.rng.randint(1, 3))
        hit = "has expired" in session.output
        life.board.ntp = after
        if back == "goal":  # the floor served, although NTP went on lying
            return hit
        if life.follow(session, tries=_RETURN, since=session.matched) != "goal":
            life.sums.lost.append(life.report("it stayed offline after a lie", session.output))
            raise Over
        return hit


def _back_in_time(life: Life, said: str) -> bool:
    """Boot; the surroundings come back after one or two tries, or not while the power is on."""
    with life.power_on() as session:
        life.follow(session, tries=life.rng.randint(1, 2))
        hit = said in session.output
        if life.rng.random() < 0.5:
            life.tidy()
            life.follow(session, since=session.matched)
        return hit


def _radio(life: Life) -> bool:
    air: list[dict[str, str | int | None]] = [{}, {"bench": "another"}, {"bench": 204}]
    life.board.wifi = life.rng.choice(air)
    return _back_in_time(life, "wifi: no connection")


def _names(life: Life) -> bool:
    life.board.resolve = {}
    return _back_in_time(life, "no address found")


_CONNECTIONS: tuple[Kind, ...] = ("cut", "reset", "stall", "delay", "drip", "garbage", "refuse")
KINDS = (
    *(_connection(kind) for kind in _CONNECTIONS),
    FaultKind("registration's answer lost after the platform committed", _answer_lost),
    FaultKind("registration refused by the platform", _registration_refused, OVER_HTTPS),
    FaultKind("CONNECT refused by the platform", _connect_refused),
    FaultKind("odd HTTP answer", _odd_http, OVER_HTTPS),
    FaultKind("replies about sub-devices lost or doubled", _replies_lost, ("gateway",)),
    FaultKind("session ended by the platform", _thrown_out),
    FaultKind("NTP blocked or lying", _clock),
    FaultKind("NTP five years ahead, which is believed", _believed),
    FaultKind("no Wi-Fi, or none that takes the board", _radio),
    FaultKind("no DNS", _names),
)
