"""A local IoT Platform: registration over HTTPS and MQTT, MQTT broker, gateway services.

`make platform` runs it; tests use `LocalPlatform`. Its folders import one way only:

    rules    names, codes, signs; Behaviour, the choices; Faults, to inject
    store    SQLite: products, devices, topology, the record; who may register
    network  listening ports, TLS, the platform's own CA      imports rules, store
    https    the registration endpoint                        imports rules, store
    mqtt     packets, credentials, sessions, the broker       imports rules, store
    alink    requests of devices and gateways                 imports rules, store, mqtt
    console  its page and JSON API                           imports rules, store
    process  all of it in one thread; the command line        imports all
"""

from __future__ import annotations

from tools.iot_platform.network.certificates import Authority, Certificate, Problem
from tools.iot_platform.process.local import LocalPlatform
from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.rules.instances import Instance
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.entities import Client, Device, Product
from tools.iot_platform.store.record import Event, Message, Record
from tools.iot_platform.store.registry import Registry
from tools.iot_platform.store.topology import Topology

__all__ = [
    "Authority",
    "Behaviour",
    "Certificate",
    "Client",
    "Device",
    "Event",
    "Faults",
    "Identity",
    "Instance",
    "LocalPlatform",
    "Message",
    "Problem",
    "Product",
    "Record",
    "Registry",
    "Topology",
]
