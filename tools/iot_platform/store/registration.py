"""The rules of dynamic registration with a ProductSecret, shared by HTTPS, MQTT and gateways.

Platform docs "Dynamic registration" and the specification's "Dynamically register a directly
connected device based on unique-certificate-per-product authentication".
"""

from __future__ import annotations

from collections.abc import Mapping

from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import Refusal
from tools.iot_platform.rules.limits import FORM_FIELDS
from tools.iot_platform.rules.names import Identity, is_device_name, is_product_key
from tools.iot_platform.rules.signing import sign_method, verify
from tools.iot_platform.store.entities import Client, Device, Product
from tools.iot_platform.store.registry import Registry

_REQUIRED = ("productKey", "deviceName", "random", "sign", "signMethod")
_UNSIGNED = ("sign", "signMethod")


class Registration:
    """Decides who gets a secret. Every refusal is a Refusal with a result code."""

    def __init__(self, registry: Registry, behaviour: Behaviour) -> None:
        self._registry = registry
        self._behaviour = behaviour

    def register(self, fields: Mapping[str, str], through_gateway: bool = False) -> Device:
        """Pre-registered device: checks the request and issues the DeviceSecret."""
        _, identity = self._check(fields)
        device = self._registry.find_device(*identity)
        if device is None or device.deleted:
            raise Refusal(self._behaviour.unknown_device_code, "not pre-registered")
        if device.disabled:
            raise Refusal(6204)
        self.check_open(device, through_gateway)
        return self._registry.issue_secret(
            identity, fresh=self._behaviour.new_secret_each_registration
        )

    def register_free(self, fields: Mapping[str, str]) -> Client:
        """No pre-registration: checks the request and issues clientId and deviceToken."""
        product, identity = self._check(fields)
        if not product.registration_free:
            raise Refusal(6288, "the product does not allow registration without pre-registration")
        device = self._registry.find_device(*identity)
        if device is not None and device.disabled:
            raise Refusal(6204)
        self.check_room(identity)
        return self._registry.issue_client(identity)

    def check_open(self, device: Device, through_gateway: bool) -> None:
        """Raises Refusal 6289 when a device may not register again. One rule for each way:

        a device by itself, over HTTPS or MQTT, until it was online; a sub-device through its
        gateway, by thing/sub/register or product_register, as `Behaviour.active_subdevice` says.
        """
        if through_gateway and self._behaviour.active_subdevice == "new secret":
            return
        after_first = self._behaviour.refuse_registration_after == "first registration"
        if device.registration_closed or (after_first and device.registrations):
            raise Refusal(6289)

    def check_room(self, identity: Identity) -> None:
        """Raises Refusal when the physical devices of one DeviceName are all active already."""
        active = [c for c in self._registry.clients(*identity) if c.activated_at is not None]
        if len(active) >= self._behaviour.registration_free_devices:
            raise Refusal(6289, f"{len(active)} physical devices are active")

    def _check(self, fields: Mapping[str, str]) -> tuple[Product, Identity]:
        missing = [name for name in _REQUIRED if not fields.get(name)]
        if missing:
            raise Refusal(460, f"missing or empty: {', '.join(missing)}")
        if len(fields) > FORM_FIELDS:
            raise Refusal(460, "too many parameters")
        method = sign_method(fields["signMethod"], self._behaviour.lenient_spelling)
        if method is None:
            raise Refusal(6292)
        identity = Identity(fields["productKey"], fields["deviceName"])
        if not is_product_key(identity.product_key) or not is_device_name(identity.device_name):
            raise Refusal(460, "productKey or deviceName outside the rules")
        product = self._registry.find_product(identity.product_key)
        if product is None:
            raise Refusal(6250)
        signed = {name: fields[name] for name in fields if name not in _UNSIGNED}
        if not verify(method, product.product_secret, signed, fields["sign"]):
            raise Refusal(6600)
        if not product.dynamic_registration:
            raise Refusal(6288)
        return product, identity
