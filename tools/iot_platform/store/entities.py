"""What the registry holds, as read-only records. Secrets are not shown by repr."""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.iot_platform.rules.names import Identity


@dataclass(frozen=True)
class Product:
    """A product. node_type: "device" (direct device or sub-device) or "gateway"."""

    product_key: str
    product_secret: str = field(repr=False)
    node_type: str
    dynamic_registration: bool
    registration_free: bool


@dataclass(frozen=True)
class Device:
    """A device. Times are Unix seconds.

    registrations: how often dynamic registration handed out a secret; registration_closed: the
    device went online with its secret, so no other is handed out until it is reset.
    """

    product_key: str
    device_name: str
    device_secret: str = field(repr=False)
    iot_id: str
    registrations: int
    registration_closed: bool
    activated_at: float | None
    disabled: bool
    deleted: bool

    @property
    def identity(self) -> Identity:
        """ProductKey and DeviceName."""
        return Identity(self.product_key, self.device_name)

    @property
    def activated(self) -> bool:
        """Whether it ever went online: a reset does not take that back."""
        return self.activated_at is not None


@dataclass(frozen=True)
class Client:
    """What a registration-free device got in place of a DeviceSecret."""

    client_id: str
    product_key: str
    device_name: str
    device_token: str = field(repr=False)
    activated_at: float | None
