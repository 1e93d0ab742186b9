"""Where sources about the platform disagree or are silent: one field for each choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Behaviour:
    """How the local platform acts where its documentation leaves room.

    The defaults follow the majority of the platform's documents and its own SDKs. Fields may be
    changed while the platform runs; a change holds from the next request on.
    """

    # Dynamic registration
    new_secret_each_registration: bool = True
    """False: every registration hands out the DeviceSecret made when the device was added."""
    refuse_registration_after: Literal["activation", "first registration"] = "activation"
    """When a device counts as "already active" (6289, or a CONNACK over MQTT)."""
    unknown_device_code: int = 6100
    """Answer to an HTTPS registration of a DeviceName that was not pre-registered."""
    http_failure_status: int = 200
    """HTTP status of a refused registration; the code is in the body either way."""
    lenient_spelling: bool = True
    """Accept hmac_md5, HmacSHA256, sha256 and the like beside hmacmd5, hmacsha1, hmacsha256."""

    # Dynamic registration over MQTT
    registration_securemodes: tuple[int, ...] = (2, -2)
    active_device_connack: int = 5
    """CONNACK code for a registration over MQTT of a device that is already active."""
    registration_free_topic: str = "/ext/regnwl"
    """Topic of the answer to authType=regnwl; the document says /ext/register, all SDKs this."""
    registration_session: float = 15.0
    """Seconds after which the platform closes a session that registered and stays connected."""
    registration_free_devices: int = 5
    """Physical devices that may be active with one ProductKey and DeviceName (regnwl)."""

    # MQTT connect
    bad_sign_connack: int = 4
    """CONNACK code for a wrong sign or an unknown device, at a registration over MQTT too.

    Two logs of real connects show 4; one page names 5 for it.
    """
    malformed_connack: int = 3
    """CONNACK code for a clientId that cannot be read."""
    securemode_connack: int = 4
    """CONNACK code for a securemode that does not fit the transport: as for a wrong sign."""
    default_sign_method: str | None = None
    """signmethod assumed when a clientId has none; None: such a clientId is malformed."""
    keepalive_minimum: int = 30
    keepalive_maximum: int = 1200
    keepalive_over_maximum: Literal["cut", "refuse"] = "cut"
    keepalive_connack: int = 3
    """CONNACK code for a keepalive out of range."""
    keepalive_factor: float = 1.5
    """A session is closed after this many keepalive intervals without a packet."""
    connects_per_minute: int | None = None
    """Connects allowed for one device in 60 s (the platform's limit is 5); None: no limit."""
    rate_limit_connack: int = 3

    # Sessions
    kick_notice: Literal["always", "if asked", "never"] = "always"
    """Who is told on /ext/notify that another connection of its identity throws it out. Bit 1 of
    `ext` in the clientId asks for such notices; whether the platform sends none without is not
    known."""
    delivery_qos: Literal["publisher", "lower"] = "publisher"
    """QoS of a message to a device: the publisher's, as the platform documents, or MQTT's rule,
    the lower of the publisher's and the subscription's."""

    # Bootstrap and instances
    bootstrap: Literal[
        "answer",
        "refuse",
        "silence",
        "no host",
        "no port",
        "empty host",
        "another host",
        "port no number",
        "port out of range",
        "not JSON",
    ] = "answer"
    """How POST /auth/bootstrap is answered: well, not at all, or with one of these faults."""
    bootstrap_refusal: int = 500
    wrong_instance_connack: int = 4
    """CONNACK code at an instance that the device does not belong to: it is unknown there."""

    # Gateway and sub-devices
    subdevices_per_gateway: int = 2000
    login_batch: int = 50
    register_batch: int = 30
    logins_per_minute: int | None = None
    """Logins allowed for one sub-device in 60 s (the platform's limit is 5); None: no limit."""
    silent_on_ack_0: bool = True
    """A request with sys.ack 0 gets no reply."""
    active_subdevice: Literal["new secret", "refuse"] = "new secret"
    """A sub-device that was online registers again, by thing/sub/register or product_register:
    it gets a new DeviceSecret, or is refused (6289). No source says which."""
    partial_batches: bool = False
    """True: thing/sub/register answers for the good entries of a batch and leaves the bad out."""
    topology_reply_with_secret: bool = False
    """A real reply to thing/topo/get also carried each deviceSecret."""
    batch_login_text_code: bool = False
    """The sample reply to batch_login has its code as a string."""
    topo_change_enable: int = 2
    topo_change_disable: int = 8
