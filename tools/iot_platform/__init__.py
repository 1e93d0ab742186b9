"""A local IoT Platform: registration over HTTPS and MQTT, MQTT broker, gateway services.

`make platform` runs it; tests use `LocalPlatform`.
"""

from __future__ import annotations

from tools.iot_platform.behaviour import Behaviour
from tools.iot_platform.certificates import Authority, Certificate, Problem
from tools.iot_platform.entities import Client, Device, Product
from tools.iot_platform.faults import Faults
from tools.iot_platform.local import LocalPlatform
from tools.iot_platform.names import Identity
from tools.iot_platform.record import Event, Message, Record
from tools.iot_platform.registry import Registry
from tools.iot_platform.topology import Topology

__all__ = [
    "Authority",
    "Behaviour",
    "Certificate",
    "Client",
    "Device",
    "Event",
    "Faults",
    "Identity",
    "LocalPlatform",
    "Message",
    "Problem",
    "Product",
    "Record",
    "Registry",
    "Topology",
]
