"""Faults of a soak in which a server of another kind stands in the platform's place."""

from __future__ import annotations

import functools
import re
import ssl
from collections.abc import Callable

from tools.faults.impostor import Script
from tools.faults.soak_life import OVER_HTTPS, FaultKind, Life
from tools.iot_platform import Authority, Certificate, Problem

_OK = b"\x20\x02\x00\x00"
_HEEDED = re.compile(
    "not MQTT|nobody asked for|more than four bytes|a message was dropped|^message on"
    "|connect refused|registration refused|registration: (the|no usable)",
    re.MULTILINE,
)
"""What a board says about a packet that it does not just ignore, as it does a PINGRESP."""
_PUBLISH = b"\x32\x0c\x00\x02/t\x00\x01HELLO!"


def _mqtt_garbage(life: Life) -> bytes:
    random = life.rng.randbytes(life.rng.randrange(200))
    odd = [
        _OK + random,
        random,
        b"HTTP/1.1 400 Bad\r\n\r\n",
        b"\x20\x03\x00\x00\x00",
        _OK + b"\x30\xff\xff\xff\xff\x7f",
        _OK + b"\x30\xff\xff\xff\x7f\x00\x02/tx",
        _OK + b"\x30\x04\x00\x08/topicxx",
        _OK + b"\x34\x0c\x00\x02/t\x00\x01HELLO!",
        _OK + b"\x30\x02\x00\x09",
    ]
    return life.rng.choice(odd)


def _mqtt_unsolicited(life: Life) -> bytes:
    kinds = [
        _OK,
        b"\xd0\x00",
        b"\x40\x02\x00\x07",
        b"\x90\x03\x00\x07\x00",
        b"\x10\x00",
        b"\x50\x02\x00\x01",
        b"\xf0\x00",
        b"\x00\x00",
        b"\x30\xa4\x9c\x01\x00\x02/t" + b"x" * 20_000,
        b"\x30\xec\x07\x00\x02/t" + b"x" * 1000,
    ]
    return _OK + b"".join(life.rng.choices(kinds, k=life.rng.randint(1, 5)))


def _mqtt_half(life: Life) -> bytes:
    packet = life.rng.choice([_OK, _OK + _PUBLISH, _OK + b"\x40\x02\x00\x01", _OK + b"\xd0\x00"])
    ends = [end for end in range(1, len(packet)) if end != len(_OK)]
    return packet[: life.rng.choice(ends)]


def _mqtt_said(
    name: str, make: Callable[[Life], bytes], heeded: re.Pattern[str] = _HEEDED
) -> FaultKind:
    """The MQTT server is one that says other things, one to three times.

    heeded: what the board then says if it took effect.
    """

    def inject(life: Life) -> bool:
        server = life.impostors.trusted
        count = life.rng.randint(1, 3)
        server.plan.extend(Script([(0, make(life))]) for _ in range(count))
        before = server.served
        life.lead(life.bench.mqtt.port, server)
        with life.power_on() as session:
            while server.served < before + count:
                life.follow(session, "never said", tries=1, since=session.matched)
            hit = heeded.search(session.output) is not None
            life.tidy()
            life.follow(session, since=session.matched)
        return hit

    return FaultKind(f"MQTT: {name}", inject)


def _untrusted(name: str, certificate: Certificate, reason: str) -> FaultKind:
    """A server that is not the platform, for registration or for the session."""

    def inject(life: Life) -> bool:
        server = life.impostors.with_certificate(certificate)
        port = life.bench.mqtt.port
        if life.way in OVER_HTTPS and life.rng.random() < 0.5:
            life.invalidate()
            port = life.bench.https.port
        before = server.served
        life.lead(port, server)
        _, output = life.boot(tries=life.rng.randint(2, 4))
        if server.served > before:
            life.sums.leaks.append(life.report("it talked to an impostor", output))
        return reason in output

    return FaultKind(f"TLS: {name}", inject)


@functools.cache
def _other_root() -> bytes:
    return Authority().der


def _roots(life: Life) -> bool:
    life.board.write("/roots/0.der", life.rng.choice([None, b"junk" * 100, _other_root()]))
    _, output = life.boot(tries=2)
    life.board.write("/roots/0.der", life.bench.platform.ca_der)
    reasons = ("no trust roots", "not a DER certificate", "not correctly signed")
    return any(reason in output for reason in reasons)


_CLOSED = re.compile("closed by the other end")
_OLD_TLS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
KINDS = (
    _mqtt_said("garbage", _mqtt_garbage),
    _mqtt_said("packets that nobody asked for", _mqtt_unsolicited),
    _mqtt_said("the end inside a packet", _mqtt_half, _CLOSED),
    _untrusted("another CA", Certificate(problem=Problem.OTHER_CA), "not correctly signed"),
    _untrusted("self-signed", Certificate(problem=Problem.SELF_SIGNED), "not correctly signed"),
    _untrusted("names another host", Certificate(problem=Problem.WRONG_HOST), "does not match"),
    _untrusted("expired", Certificate(problem=Problem.EXPIRED), "has expired"),
    _untrusted("not yet valid", Certificate(problem=Problem.NOT_YET_VALID), "in the future"),
    _untrusted("1.0 and 1.1 only", Certificate(tls=_OLD_TLS), "PROTOCOL_VERSION"),
    FaultKind("TLS: no roots, junk, or another's", _roots),
)
