# Stands in for mqtt_as, which no package index has: the settings that the example makes, the TLS
# that they lead to, one CONNECT and one PUBLISH. Not mqtt_as: nothing is awaited, nothing retried.
import asyncio
import ssl

from umqtt import simple

config = {
    "client_id": b"",
    "server": None,
    "port": 0,
    "user": "",
    "password": "",
    "keepalive": 60,
    "ssl": False,
    "ssl_params": {},
    "ssid": None,
    "wifi_pw": None,
    "queue_len": 0,
}
_KNOWN = set(config)


class _Tls:
    def __init__(self, params):
        self.params = params

    def wrap_socket(self, sock, server_hostname):
        return ssl.wrap_socket(sock, **self.params)


class _Queue:
    def __init__(self, client):
        self.client = client
        self.came = []
        client.set_callback(lambda topic, payload: self.came.append((topic, payload, False)))

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.came:
            self.client.check_msg()
            await asyncio.sleep_ms(20)
        return self.came.pop(0)


class MQTTClient:
    def __init__(self, config):
        if set(config) != _KNOWN:
            raise ValueError("config: {}".format(set(config) ^ _KNOWN))
        if not config["ssid"] or not config["queue_len"] or not config["ssl"]:
            raise ValueError("config: ssid, queue_len, ssl")
        self.client = simple.MQTTClient(
            config["client_id"],
            config["server"],
            config["port"],
            config["user"],
            config["password"],
            config["keepalive"],
            ssl=_Tls(config["ssl_params"]),
        )
        self.queue = _Queue(self.client)

    async def connect(self):
        self.client.connect()

    async def publish(self, topic, msg, retain=False, qos=0):
        self.client.publish(topic, msg, retain, qos)
