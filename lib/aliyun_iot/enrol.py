"""Registers this board and puts the identity that it is granted on flash."""

import os

from . import forget, time_is_set
from .log import log


def enrol(product, path, context, ms):
    """Register by HTTPS or MQTT, and store what was granted at `path`: the device certificate.

    The rest is as of `registration.register`, which says what is raised; StoreError beside.
    """
    if product["registration"] == "https":
        from .registration import register
    else:
        from .registration_mqtt import register
    record, date = register(product, os.urandom(8).hex(), context, ms)
    del register
    forget("https", "registration", "registration_mqtt", "rules")
    if date and not time_is_set():
        from .clock import heed

        heed(date)
    from .store import save

    save(path, record)
    log("registered as {}; identity stored".format(record["deviceName"]))
    return record
