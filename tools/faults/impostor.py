"""A server that holds the platform's certificate and says whatever it was told to say."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

from tools.iot_platform.certificates import Certificate, shared_authority

_DEADLINE = 10.0


@dataclass(frozen=True)
class Script:
    """What one connection gets once it has sent something: (seconds to wait, bytes) each.

    stay: the connection then stays open in silence; if not, it is closed.
    """

    pieces: Sequence[tuple[float, bytes]] = field(repr=False)
    stay: bool = False


class Impostor:
    """Listens on `port`; each connection takes the next script of `plan`. A context manager.

    Its certificate is of the CA in memory that every `LocalPlatform` without a folder shares.
    With nothing left in the plan, a connection is closed at once.
    """

    def __init__(self, certificate: Certificate | None = None) -> None:
        """certificate: what it shows, a good one by default."""
        self.plan: deque[Script] = deque()
        self.served = 0
        """Connections that have sent a first byte, the handshake aside."""
        self._certificate = certificate or Certificate()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="impostor", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Impostor:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_DEADLINE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE)
        self._loop.close()

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> None:
        context = shared_authority().server_context(self._certificate)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        script = self.plan.popleft() if self.plan else Script([])
        try:
            if await reader.read(1):
                self.served += 1
            for seconds, data in script.pieces:
                await asyncio.sleep(seconds)
                writer.write(data)
                await writer.drain()
            if script.stay:
                await reader.read()
        except (OSError, asyncio.CancelledError):
            pass  # the device gave up, or the impostor stops
        finally:
            writer.close()


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
