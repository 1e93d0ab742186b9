# The floor for time: the same verified handshakes and the same messages, all made beforehand.
import binascii
import socket

import tls

context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
with open("/roots/0.der", "rb") as file:
    context.load_verify_locations(file.read())


def connect(port):
    sock = socket.socket()
    if "$NO_DELAY":
        sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
    sock.connect(socket.getaddrinfo("localhost", port, 0, socket.SOCK_STREAM)[0][-1])
    return context.wrap_socket(sock, server_hostname="localhost")


if "$REGISTRATION":
    stream = connect(int("$REGISTER_PORT"))
    stream.write(binascii.unhexlify("$REGISTRATION"))
    length = 0
    while True:
        line = stream.readline()
        if line.lower().startswith(b"content-length:"):
            length = int(line[15:])
        if line == b"\r\n":
            break
    stream.read(length)
    stream.close()
stream = connect(int("$MQTT_PORT"))
stream.write(binascii.unhexlify("$CONNECT"))
stream.read(4)
stream.write(binascii.unhexlify("$POST"))
size = stream.read(2)[1]
if size > 127:
    size += (stream.read(1)[0] - 1) << 7
print("message", stream.read(size))
