# The board of the peers: Wi-Fi joined with the least that works, and nothing else.
import network

station = network.WLAN(network.STA_IF)
station.active(True)
if not station.isconnected():
    station.connect("bench", "correct horse")
    while not station.isconnected():
        pass
