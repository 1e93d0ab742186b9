# part of the simulator, never copied to a board
"""`socket` over the host's, but names are looked up in the board's own table, as lwIP would."""

import link
import usocket as _unix


def __getattr__(name):  # AF_INET, ...
    return getattr(_unix, name)


def socket(*kind):
    sock = _unix.socket(*kind)
    sock.setsockopt(1, 7, 5744)  # SOL_SOCKET, SO_SNDBUF: lwIP's; the host would take megabytes
    return sock


def getaddrinfo(host, port, *hints):
    import network

    port = int(port)
    for part in host.split("."):
        if not part.isdigit():
            if not network.WLAN().has_address():
                raise OSError(-202)  # lwIP's EAI_FAIL
            host, port = _resolve(host, port)
            break
    return _unix.getaddrinfo(host, port, *hints)[:1]


def _resolve(host, port):
    """The table's lines: `name address` or `name:port address:port`; `*` stands for any name."""
    table = link.read("names").split("\n")
    for name in ("%s:%d" % (host, port), host, "*:%d" % port, "*"):
        for line in table:
            key, _, target = line.partition(" ")
            if key == name:
                address, _, new_port = target.partition(":")
                return address, int(new_port or port)
    raise OSError(-202)
