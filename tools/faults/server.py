"""A server in a thread of its own: what proxy and impostor have in common."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from typing import TypeVar

HOST = "127.0.0.1"
_DEADLINE = 10.0
S = TypeVar("S", bound="Server")


class Server(ABC):
    """Listens on a free `port` of this machine while it is entered as a context manager."""

    def __init__(self, name: str) -> None:
        """name: of the thread."""
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.buffer: int | None = None
        """Bytes that a connection may hold on their way, about; None: as the host has it."""

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is closed after; it may raise OSError."""

    def context(self) -> ssl.SSLContext | None:
        """The TLS context to serve with; None, the default: plain TCP."""
        return None

    def __enter__(self: S) -> S:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_DEADLINE)
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE)
        self._loop.close()

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> None:
        limit = self.buffer or 2**16
        self._server = await asyncio.start_server(
            self._connected, HOST, 0, backlog=1024, ssl=self.context(), limit=limit
        )
        if self.buffer:  # the accepted sockets inherit it
            for sock in self._server.sockets:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        while self._tasks:  # a connection may still be on its way in
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self.serve(reader, writer)
        except OSError:
            pass  # one of the ways in which a connection ends
        except asyncio.CancelledError:
            pass  # the server stops
        finally:
            writer.close()
