"""What to do about what went wrong: one sentence for each kind of event and code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.iot_platform.rules.codes import MESSAGES

_INJECTED = "A fault switch did this: it was asked for."
_REGISTER = {
    460: "A parameter is missing or malformed: the reason names it. Mend the device's request.",
    500: "The platform is busy: the device should try again, later each time.",
    429: "Too many requests: the device should wait before it tries again.",
    6100: "Add this DeviceName to the product, or correct the name on the device.",
    6204: "Enable the device.",
    6250: "Correct productKey in the device's product.json, or add the product here.",
    6280: "Correct the DeviceName: 4 to 32 letters, digits or - _ @ . :",
    6288: "Switch dynamic registration of the product on.",
    6289: "It has registered before and used its secret. Reset the device to let it register"
    " again; until then it can connect with the secret it has.",
    6292: "Use hmacmd5, hmacsha1 or hmacsha256 as signMethod.",
    6402: "A gateway cannot register itself as its own sub-device.",
    6600: "The ProductSecret on the device is not this product's: correct its product.json.",
    6619: "Unbind the sub-device from its gateway first.",
}
_CONNECT = {
    1: "The client speaks another version of MQTT: use 3.1.1.",
    2: "The clientId's parameters do not fit: the reason names which.",
    3: "The platform refuses this connect for now, or cannot read its clientId: see the reason.",
    4: "The DeviceSecret on the device is not the platform's: reset the device so that it can"
    " register again, or write the right one.",
    256: "The connection was closed without an answer: the device should try again.",
}
_CONNECT[5] = _CONNECT[4]
# By the beginning of the reason in the record: more exact than any code.
_REASONS = {
    "injected fault": _INJECTED,
    "fault switch": _INJECTED,
    "device unknown": "Add this DeviceName to the product, or correct the name on the device.",
    "device deleted": "Add the device again, or take it out of service.",
    "device disabled": "Enable the device.",
    "securemode": "Use securemode 2 over TLS and 3 over plain TCP.",
    "keepalive": "Set the keepalive interval between 30 and 1,200 seconds.",
    "more than": "It reconnects too often: wait longer between tries.",
    "userName is not": "Send DeviceName&ProductKey as userName.",
    "clientId is": "Send a clientId such as PK.DN|securemode=2,signmethod=hmacsha256|.",
    "clientId has": "Send a clientId such as PK.DN|securemode=2,signmethod=hmacsha256|.",
    "the product does not allow": "Allow registration without pre-registration for the product,"
    " or pre-register the device.",
    "registration without TLS": "Register over TLS.",
    "not the device's own": "Publish to topics with the device's own ProductKey and DeviceName.",
    "no CONNECT": "The client connected and sent no MQTT CONNECT: check which port it uses.",
    "connected elsewhere": "Two boards use this identity, or one reconnected before its old"
    " connection was noticed.",
    "keepalive expired": "Nothing was heard for 1.5 keepalive intervals: the device must ping.",
    "connection lost": "The connection broke: check power and network. It should come back by"
    " itself.",
    "does not read": "The device does not read what it is sent.",
    "protocol error": "The client broke the MQTT protocol: the reason says where.",
    "not subscribed": "The device has not subscribed to this topic.",
    "offline": "The device is not connected.",
    "disconnected by the platform": "An operator closed the connection.",
}
_TLS = {
    "unknown ca": "The client does not trust the platform's root: give it"
    " build/iot_platform/ca.der.",
    "bad certificate": "The client refuses the certificate: check its root, its clock and the"
    " host name it uses.",
    "certificate expired": "The client finds the certificate expired: check its clock.",
    "certificate unknown": "The client refuses the certificate: check its root and its clock.",
    "http request": "The client speaks plain HTTP to a TLS port.",
    "wrong version number": "The client does not speak TLS, or an older version of it.",
    "unsupported protocol": "The client offers TLS versions that are too old: use 1.2.",
    "no shared cipher": "The client offers no cipher that the platform takes.",
    "timeouterror": "The client began and then fell silent: check the network.",
}
_TOPOLOGY = {
    427: "The same identity came online elsewhere.",
    428: "The gateway already has as many sub-devices as it may have.",
    520: "Log the sub-device in before it publishes.",
    521: "The sub-device was deleted.",
    522: "Enable the sub-device.",
    6287: "The sub-device's secret is not the platform's: register it again.",
    6401: "Add the sub-device to this gateway's topology first (thing/topo/add).",
}


def refused(kind: str, code: int | None) -> bool:
    """Whether an event is a refusal or a failure."""
    if kind in ("tls-failed", "undelivered"):
        return True
    if kind == "notice":
        return True
    return code is not None and code not in (0, 200)


def advice(kind: str, code: int | None, details: Mapping[str, Any]) -> str | None:
    """What to do about an event; None where nothing is known, or nothing needs doing."""
    reason = str(details.get("reason", "")).removeprefix("gateway: ")
    if kind == "tls-failed":
        plain = reason.lower().replace("_", " ")
        return next(
            (text for part, text in _TLS.items() if part in plain),
            "The TLS handshake failed: check the client's root, clock and host name.",
        )
    if kind in ("disconnect", "offline") and reason == "keepalive":
        return _REASONS["keepalive expired"]
    if kind in ("disconnect", "offline", "undelivered") or refused(kind, code):
        for start, text in _REASONS.items():
            if reason.startswith(start):
                return text
    if code is None or not refused(kind, code):
        return None
    table = _CONNECT if kind == "connect" else {**_TOPOLOGY, **_REGISTER}
    return table.get(code)


def meaning(kind: str, code: int | None, details: Mapping[str, Any]) -> str:
    """What happened, in words: the code with its message, the reason."""
    reason = str(details.get("reason", ""))
    if kind == "connect":
        head = "closed without CONNACK" if code == 256 else f"CONNACK {code}"
        return f"connect refused, {head}" + (f": {reason}" if reason else "")
    if kind == "register":
        message = MESSAGES.get(code or 0, "")
        named = reason or message
        return f"registration refused, {code}: {named}"
    if kind in ("disconnect", "offline"):
        return f"went offline: {reason}"
    if kind == "tls-failed":
        return f"TLS handshake on {details.get('port')} failed: {reason}"
    if kind in ("publish", "request"):
        topic = details.get("topic", "")
        named = reason or MESSAGES.get(code or 0, "")
        return f"{kind} on {topic} refused, {code}: {named}"
    return f"{kind}: {reason}" if reason else kind
