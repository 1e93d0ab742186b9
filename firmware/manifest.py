# Freezes the package into a firmware build, where its code takes no heap:
#   make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=<this file>
# A manifest given there replaces the port's own, so that one comes first: umqtt.simple is in it.
metadata(  # noqa: F821 - the build defines these names
    description="The identity of an ESP32 on Alibaba Cloud IoT Platform", version="0.1.0"
)
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
package("aliyun_iot", base_path="../lib")  # noqa: F821
