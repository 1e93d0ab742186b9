"""A server that holds the platform's certificate and says whatever it was told to say."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tools.faults.server import Server
from tools.iot_platform.network.certificates import Certificate, shared_authority


@dataclass(frozen=True)
class Script:
    """What one connection gets once it has sent something: (seconds to wait, bytes) each.

    stay: the connection then stays open in silence; if not, it is closed.
    """

    pieces: Sequence[tuple[float, bytes]] = field(repr=False)
    stay: bool = False


class Impostor(Server):
    """Each connection takes the next script of `plan`.

    Its certificate is of the CA in memory that every `LocalPlatform` without a folder shares.
    With nothing left in the plan, a connection is closed at once.
    """

    def __init__(self, certificate: Certificate | None = None) -> None:
        """certificate: what it shows, a good one by default."""
        super().__init__("impostor")
        self.plan: deque[Script] = deque()
        self.served = 0
        """Connections that have sent a first byte, the handshake aside."""
        self._certificate = certificate or Certificate()

    def context(self) -> ssl.SSLContext:
        """TLS, with the certificate."""
        return shared_authority().server_context(self._certificate)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Follow the next script."""
        script = self.plan.popleft() if self.plan else Script([])
        if await reader.read(1):
            self.served += 1
        for seconds, data in script.pieces:
            await asyncio.sleep(seconds)
            writer.write(data)
            await writer.drain()
        if script.stay:
            await reader.read()


class Impostors:
    """Impostors with certificates of all kinds, made at need; `stack` ends them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._servers: dict[Certificate, Impostor] = {}

    def with_certificate(self, certificate: Certificate) -> Impostor:
        """One that shows `certificate`."""
        if certificate not in self._servers:
            server = self._stack.enter_context(Impostor(certificate))
            self._servers[certificate] = server
        return self._servers[certificate]

    @property
    def trusted(self) -> Impostor:
        """One whose certificate is in order."""
        return self.with_certificate(Certificate())
