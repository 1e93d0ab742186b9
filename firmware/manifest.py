# Freezes the package into a firmware build, where its code takes no heap:
#   make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=<this file>
# A manifest given there replaces the port's own, so that one comes first: umqtt.simple is in it.
# Written by `aliyun-iot packaging`.
metadata(  # noqa: F821 - the build defines these names
    description="The identity of an ESP32 on Alibaba Cloud IoT Platform",
    version="0.1.0",
)
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
package(  # noqa: F821
    "aliyun_iot",
    (
        "__init__.py",
        "aio.py",
        "connection.py",
        "credentials.py",
        "device.py",
        "errors.py",
        "hmac.py",
        "https.py",
        "identity.py",
        "moving/__init__.py",
        "moving/adopted.py",
        "moving/asked.py",
        "moving/bootstrap.py",
        "moving/notice.py",
        "moving/relocation.py",
        "moving/rotation.py",
        "network.py",
        "records.py",
        "registration.py",
        "registration_mqtt.py",
        "scrub.py",
        "session.py",
        "sign.py",
        "urlencode.py",
        "wire.py",
    ),
    base_path="../lib",
)
# A gateway's part; leave it out of a firmware for devices that are none.
package(  # noqa: F821
    "aliyun_iot",
    (
        "gateway/__init__.py",
        "gateway/codes.py",
        "gateway/notices.py",
        "gateway/online.py",
        "gateway/registration.py",
        "gateway/saving.py",
        "gateway/signed.py",
        "gateway/steps.py",
        "gateway/store.py",
        "gateway/subdevices.py",
        "gateway/taking.py",
        "gateway/talk.py",
    ),
    base_path="../lib",
)
