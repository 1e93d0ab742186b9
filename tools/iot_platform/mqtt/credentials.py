"""Who is connecting: clientId, userName and password of an MQTT CONNECT.

Platform docs "Establish MQTT connections over TCP / TLS" and "MQTT-based dynamic registration".
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tools.iot_platform.mqtt.packets import Connect
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import Refusal
from tools.iot_platform.rules.instances import DEFAULT, Instance
from tools.iot_platform.rules.names import Identity, is_device_name, is_product_key
from tools.iot_platform.rules.rate import Rate
from tools.iot_platform.rules.signing import sign_method, verify
from tools.iot_platform.store.entities import Client, Device
from tools.iot_platform.store.places import Places
from tools.iot_platform.store.registration import Registration
from tools.iot_platform.store.registry import Registry

Auth = Literal["secret", "register", "regnwl", "connwl"]
_CLIENT_ID = re.compile(r"(?P<id>[^|]{1,64})\|(?P<params>[^|]*)\|")
_PROTOCOLS = {("MQIsdp", 3), ("MQTT", 4)}


class ConnectRefused(Exception):
    """CONNECT is answered with a CONNACK code other than 0.

    why, and result (the code the same registration gets over HTTPS): for the record only.
    """

    def __init__(self, code: int, why: str, result: int = 460) -> None:
        self.code = code
        self.why = why
        self.result = result
        super().__init__(f"CONNACK {code}: {why}")


@dataclass(frozen=True)
class Login:
    """An accepted CONNECT.

    auth: "secret" is a connect with DeviceSecret, "connwl" with deviceToken, the others are
    registrations, and `answer` is what they are answered with. keepalive: seconds;
    system_topics: whether `_ss=1` was given; ext: bit 0 is RRPC, bit 1 /ext/notify.
    """

    auth: Auth
    identity: Identity
    client_id: str
    keepalive: int
    system_topics: bool
    clean_session: bool
    answer: dict[str, str] = field(repr=False, default_factory=dict)
    client: Client | None = None
    ext: int = 0


def read_client_id(text: str) -> tuple[str, dict[str, str]]:
    """The id and the parameters of `id|name=value,..|`. Raises ValueError."""
    match = _CLIENT_ID.fullmatch(text)
    if match is None:
        raise ValueError("clientId is not id|name=value,..| with an id of 1 to 64 characters")
    params: dict[str, str] = {}
    for pair in match["params"].split(","):
        name, equals, value = pair.partition("=")
        if not name or not equals or name in params:
            raise ValueError("clientId has a parameter without name or value, or one twice")
        params[name] = value
    return match["id"], params


def read_user_name(text: str) -> Identity | None:
    """DeviceName and ProductKey of `DN&PK`, or None."""
    device_name, _, product_key = text.partition("&")
    if is_device_name(device_name) and is_product_key(product_key):
        return Identity(product_key, device_name)
    return None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


class Authenticator:
    """Checks CONNECT packets. A refusal is a ConnectRefused."""

    def __init__(
        self,
        registry: Registry,
        registration: Registration,
        places: Places,
        instances: Mapping[str, Instance],
        behaviour: Behaviour,
    ) -> None:
        """instances: by name, filled once their ports are known."""
        self._registry = registry
        self._registration = registration
        self._places = places
        self._instances = instances
        self._behaviour = behaviour
        self._connects = Rate()

    def check(self, connect: Connect, tls: bool, instance: str) -> Login:
        """Accepts or refuses; a registration takes effect here, an activation does not.

        instance: the name of the one that the device connects to.
        """
        if (connect.protocol, connect.level) not in _PROTOCOLS:
            raise ConnectRefused(1, f"protocol {connect.protocol!r} level {connect.level}")
        try:
            client_id, params = read_client_id(connect.client_id)
        except ValueError as error:
            code = 2 if "authType=reg" in connect.client_id else self._behaviour.malformed_connack
            raise ConnectRefused(code, str(error)) from None
        identity = read_user_name(connect.username)
        if identity is None:
            raise ConnectRefused(self._behaviour.bad_sign_connack, "userName is not DN&PK")
        self._limit_rate(identity)
        self._check_instance(identity, instance)
        auth = params.get("authType")
        if auth in ("register", "regnwl"):
            return self._register(connect, client_id, params, identity, tls)
        if auth not in (None, "connwl"):
            raise ConnectRefused(2, f"authType {auth!r}")
        keepalive = self._keepalive(connect.keepalive)
        client = None
        if auth == "connwl":
            client = self._check_token(connect, client_id, params, identity, tls)
        else:
            self._check_secret(connect, client_id, params, identity, tls)
        return Login(
            "connwl" if client else "secret",
            identity,
            client_id,
            keepalive,
            params.get("_ss") == "1",
            connect.clean_session,
            client=client,
            ext=_number(params.get("ext", "")),
        )

    def _check_instance(self, identity: Identity, instance: str) -> None:
        belongs = self._places.instance_of(identity)
        if belongs not in self._instances:  # it served an earlier run
            belongs = DEFAULT
        if belongs != instance:
            raise ConnectRefused(
                self._behaviour.wrong_instance_connack, f"belongs to instance {belongs}", 6100
            )

    def _keepalive(self, seconds: int) -> int:
        code = self._behaviour.keepalive_connack
        if seconds < self._behaviour.keepalive_minimum:
            raise ConnectRefused(code, f"keepalive {seconds} s is too short")
        longest = self._behaviour.keepalive_maximum
        if seconds > longest and self._behaviour.keepalive_over_maximum == "refuse":
            raise ConnectRefused(code, f"keepalive {seconds} s is too long")
        return min(seconds, longest)

    def _check_secret(
        self,
        connect: Connect,
        client_id: str,
        params: dict[str, str],
        identity: Identity,
        tls: bool,
    ) -> None:
        given = params.get("signmethod", self._behaviour.default_sign_method)
        method = sign_method(given, self._behaviour.lenient_spelling)
        if method is None:
            raise ConnectRefused(self._behaviour.malformed_connack, f"signmethod {given!r}")
        if params.get("securemode") != ("2" if tls else "3"):
            mode = params.get("securemode")
            transport = "TLS" if tls else "plain TCP"
            raise ConnectRefused(
                self._behaviour.securemode_connack, f"securemode {mode} over {transport}"
            )
        device = self._device(identity)
        signed = {
            "clientId": client_id,
            "deviceName": identity.device_name,
            "productKey": identity.product_key,
        }
        if "timestamp" in params:  # never compared with a clock
            signed["timestamp"] = params["timestamp"]
        if not verify(method, device.device_secret, signed, connect.password):
            raise ConnectRefused(self._behaviour.bad_sign_connack, "wrong sign")

    def _check_token(
        self,
        connect: Connect,
        client_id: str,
        params: dict[str, str],
        identity: Identity,
        tls: bool,
    ) -> Client:
        if params.get("securemode") not in ("-2", "2") or not tls:
            raise ConnectRefused(self._behaviour.securemode_connack, "connwl needs TLS and -2")
        self._device(identity)
        for client in self._registry.clients(*identity):
            if client.client_id == client_id and hmac.compare_digest(
                client.device_token.encode(), connect.password.encode()
            ):
                break
        else:
            raise ConnectRefused(self._behaviour.bad_sign_connack, "unknown clientId or token")
        if client.activated_at is None:
            try:
                self._registration.check_room(identity)
            except Refusal as refusal:
                raise ConnectRefused(self._behaviour.active_device_connack, refusal.why) from None
        return client

    def _register(
        self,
        connect: Connect,
        client_id: str,
        params: dict[str, str],
        identity: Identity,
        tls: bool,
    ) -> Login:
        if not tls:
            raise ConnectRefused(2, "registration without TLS")
        modes = {str(mode) for mode in self._behaviour.registration_securemodes}
        if params.get("securemode") not in modes:
            raise ConnectRefused(2, f"securemode {params.get('securemode')}")
        fields = {
            "productKey": identity.product_key,
            "deviceName": identity.device_name,
            "random": params.get("random", ""),
            "signMethod": params.get("signmethod", ""),
            "sign": connect.password,
        }
        free = params["authType"] == "regnwl"
        answer = {"productKey": identity.product_key, "deviceName": identity.device_name}
        try:
            if free:
                client = self._registration.register_free(fields)
                answer |= {"clientId": client.client_id, "deviceToken": client.device_token}
            else:
                device = self._registration.register(fields)
                # The order of an official log.
                answer = {"deviceSecret": device.device_secret, **answer}
        except Refusal as refusal:
            connack = self._register_connack(refusal.code)
            raise ConnectRefused(connack, refusal.why, refusal.code) from None
        auth: Auth = "regnwl" if free else "register"
        return Login(auth, identity, client_id, 0, False, connect.clean_session, answer)

    def _register_connack(self, code: int) -> int:
        if code in (460, 6292):
            return 2
        if code == 6289:
            return self._behaviour.active_device_connack
        return self._behaviour.bad_sign_connack

    def _device(self, identity: Identity) -> Device:
        device = self._registry.find_device(*identity)
        if device is None or device.deleted or device.disabled:
            why = "unknown" if device is None else "deleted" if device.deleted else "disabled"
            raise ConnectRefused(self._behaviour.bad_sign_connack, f"device {why}")
        return device

    def _limit_rate(self, identity: Identity) -> None:
        limit = self._behaviour.connects_per_minute
        if not self._connects.allow(identity, limit):
            raise ConnectRefused(
                self._behaviour.rate_limit_connack, f"more than {limit} connects in a minute"
            )
