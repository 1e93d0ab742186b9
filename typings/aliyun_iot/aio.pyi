from collections.abc import Awaitable, Callable
from typing import NoReturn

from . import session
from .session import Payload, Topic

class Session:
    plain: session.Session
    """The session that is driven; its attributes may be read."""

    def __init__(self, session: session.Session) -> None: ...
    def topic(self, tail: str) -> str:
        """As `session.Session.topic`."""
    async def publish(self, topic: Topic, payload: Payload, qos: int = 0) -> None: ...
    async def subscribe(self, topic: Topic) -> None: ...
    async def wait(self, ms: int) -> tuple[bytes, bytes] | None: ...

async def run(
    on_connect: Callable[[Session], Awaitable[None] | None] | None = None,
    on_message: Callable[[Session, bytes, bytes], Awaitable[None] | None] | None = None,
    on_idle: Callable[[Session], Awaitable[None] | None] | None = None,
    device_name: str | None = None,
    on_given_up: Callable[[Session, bytes, bytes], Awaitable[None] | None] | None = None,
) -> NoReturn: ...
