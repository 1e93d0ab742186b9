"""Importing this puts a network that is up, and stays so, in the place of `network`."""

import sys


class Network:
    """A network that is up and stays so."""

    STA_IF = 0

    def WLAN(self, interface):
        return self

    def active(self):
        return True

    isconnected = active

    def ifconfig(self):
        return ("192.168.4.17",)


sys.modules["network"] = Network()
