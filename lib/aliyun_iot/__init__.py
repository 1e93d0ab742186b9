"""The identity of an ESP32 on Alibaba Cloud IoT Platform: register, store, connect.

Start at `aliyun_iot.device`; the README's "Layout" says what each module is for.
"""

__version__ = "0.1.0"
