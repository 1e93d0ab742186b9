"""Wi-Fi up, by the networks in wifi.json; bounded, and harmless when it is up already."""

import json
import time

from .errors import ConfigError
from .log import log

_PER_NETWORK = 15000  # milliseconds for one network to answer


def _networks(path):
    """Read wifi.json: a list of (ssid, password), and the NTP host or None."""
    try:
        with open(path) as file:
            fields = json.load(file)
    except OSError:
        raise ConfigError("wifi.json: missing")
    except ValueError:
        raise ConfigError("wifi.json: not JSON")
    found = []
    if isinstance(fields, dict):
        listed = fields.get("networks", [fields])
        for network in listed if isinstance(listed, list) else ():
            if not isinstance(network, dict) or not isinstance(network.get("ssid"), str):
                raise ConfigError("wifi.json: ssid: expected text")
            if not isinstance(network.get("password", ""), str):
                raise ConfigError("wifi.json: password: expected text")
            found.append((network["ssid"], network.get("password", "")))
    if not found:
        raise ConfigError("wifi.json: expected ssid and password, or a list of networks")
    ntp_host = fields.get("ntpHost")
    if not isinstance(ntp_host, (str, type(None))):
        raise ConfigError("wifi.json: ntpHost: expected text")
    return found, ntp_host


def up(path="/wifi.json"):
    """Connect to the first network of wifi.json that takes us: the NTP host configured, or None.

    Raises ConfigError for a wrong file. When no network answers it says so and returns: the
    radio keeps trying by itself, and who comes next waits for a connection in its own way.
    """
    import network

    networks, ntp_host = _networks(path)
    station = network.WLAN(network.STA_IF)
    station.active(True)
    if station.isconnected():  # a soft reset leaves the radio up; connect() would fail then
        return ntp_host
    for ssid, password in networks:
        log("wifi: connecting to", ssid)
        station.disconnect()
        time.sleep_ms(100)
        station.connect(ssid, password)
        until = time.ticks_add(time.ticks_ms(), _PER_NETWORK)
        while not station.isconnected():
            # From STAT_NO_AP_FOUND up to 1000 (idle) lie the chip's reasons for having failed.
            if 200 <= station.status() < network.STAT_IDLE:
                break
            if time.ticks_diff(until, time.ticks_ms()) <= 0:
                break
            time.sleep_ms(100)
        if station.isconnected():
            log("wifi: connected,", station.ifconfig()[0])
            return ntp_host
        log("wifi: no connection, status", station.status())
    return ntp_host
