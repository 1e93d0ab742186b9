"""The same device for applications that use asyncio.

    async def on_message(session, topic, payload):
        await session.publish(session.topic("thing/event/property/post"), reading())

    asyncio.run(aio.run(on_connect, on_message))

Other tasks run while this one connects, waits, sends or is answered. They are held up only by what
cannot be split: the DNS look-up, each step of TLS's arithmetic, the flash, a registration (once in
a board's life) and rejoining a Wi-Fi network that was lost. The protocol itself is in `session`.
"""

import asyncio

from . import ConfigError, IotError, NetworkError, RefusedError, phase, select, time
from . import session as _session  # noqa: F401 - loaded here, so that no phase unloads it
from .device import Device
from .wire import broken


class Session:
    """A device's session whose exchanges are awaited; see `session.Session` for what they do.

    Any number of tasks may use it. Cancelling a task during an exchange closes the connection, as
    half a packet may have been sent.
    """

    def __init__(self, session):
        self.plain = session
        self.topic = session.topic
        self._lock = asyncio.Lock()  # one exchange at a time
        self._waiting = False  # whether a task waits on the socket: asyncio allows only one
        self._came = asyncio.Event()  # that task's wait is over, for the others

    async def publish(self, topic, payload, qos=0):
        """As `session.Session.publish`.

        A QoS 1 message is not kept if it was still waiting for another task's exchange when the
        connection was lost: if several tasks publish, each has to resend what raised.
        """
        await self.drive(self.plain.publishing(topic, payload, qos))

    async def subscribe(self, topic):
        """As `session.Session.subscribe`."""
        await self.drive(self.plain.subscribing(topic))

    async def wait(self, ms):
        """As `session.Session.wait`, for one task at a time; with `run`, that is `run` itself."""
        until = time.ticks_add(time.ticks_ms(), ms)
        plain = self.plain
        await asyncio.sleep_ms(0)  # let other tasks run, even in a flood
        while True:
            # Pings and acknowledgements must not come between two pieces of a packet.
            busy = self._lock.locked()
            if not busy:
                await self.drive(plain.waiting(0))
            left = time.ticks_diff(until, time.ticks_ms())
            if plain.inbox or left <= 0:
                return plain.take()
            if busy:
                await asyncio.sleep_ms(min(left, 20))
            else:
                await self._ready(select.POLLIN, min(left, plain.due))

    async def drive(self, steps):
        """As `session.Session.run`: run a generator that yields (event, ms)."""
        async with self._lock:
            await self._drive(steps)

    async def _drive(self, steps):
        whole = False
        try:
            for event, ms in steps:
                await self._ready(event, ms)
                if not self.plain.sock:  # closed in the meantime by `Device.rotate`
                    raise NetworkError("not connected")
            whole = True
        except OSError as e:
            raise broken(e)
        except (ValueError, TypeError):
            whole = True
            raise
        except RefusedError as e:
            whole = e.code == 0x80  # of a topic, not of the connection
            raise
        finally:
            if not whole:
                self.plain.drop()

    async def _ready(self, event, ms):
        """Wait up to `ms` milliseconds for an event on the socket."""
        if event != select.POLLIN:
            await asyncio.sleep_ms(min(ms, 10))
            return
        try:
            if self._waiting:
                await asyncio.wait_for_ms(self._came.wait(), ms)
                return
            self._waiting = True
            try:
                # Returns as soon as there is something to read, without reading it.
                await asyncio.wait_for_ms(asyncio.StreamReader(self.plain.sock.sock).read(0), ms)
            finally:
                self._waiting = False
                self._came.set()
                self._came.clear()
        except asyncio.TimeoutError:
            pass


async def _call(function, *args):
    """Call one of the application's functions, which may be a coroutine."""
    result = function and function(*args)
    if hasattr(result, "send"):
        await result


async def _connect(device, face):
    plain = device.prepare()
    if face is None:
        face = Session(plain)
    plain.close()
    try:
        try:
            await face.drive(plain.connecting(device.login()[0], True))
        except (NetworkError, ValueError) as e:
            if "X509" not in str(e) and not isinstance(e, ValueError):
                raise
            # A handshake in pieces does not raise the TlsError that says what is wrong with a
            # certificate; one in one go does.
            plain.run(plain.connecting(device.login()[0]))
    except IotError as e:
        if hasattr(device, "missed"):  # if there is another place to try: see `moving`
            device.missed(e)
        raise
    device.connected()
    return face


async def _online(device, problem, face):
    while True:
        if problem:
            await asyncio.sleep_ms(phase("connection.failed", device, problem))
        await asyncio.sleep_ms(phase("connection.begin", device))
        try:
            if device.asking:
                device.asking = not device.registered()
                device.register()
                problem = None
                continue
            return await _connect(device, face)
        except ConfigError:
            raise
        except IotError as e:
            problem = e


async def run(on_connect=None, on_message=None, on_idle=None, device_name=None, on_given_up=None):
    """Bring the device online and keep it online, as `device.run`. Does not return.

    The functions may be coroutines. Their session is a `Session` of this module.
    """
    device = Device.load(device_name)
    face = problem = None
    try:
        while True:
            if device.record:
                device.login()
            face = await _online(device, problem, face)
            plain = face.plain
            try:
                if plain.given_up and on_given_up:
                    message = plain.given_up
                    plain.given_up = None
                    await _call(on_given_up, face, *message)
                await _call(on_connect, face)
                idle = time.ticks_ms()
                while True:
                    past = time.ticks_diff(time.ticks_ms(), idle)
                    if not 0 <= past < 1000:
                        past = 0
                        idle = time.ticks_ms()
                        await _call(on_idle, face)
                    message = await face.wait(1000 - past)
                    if message:
                        await _call(on_message, face, *message)
            except ConfigError:
                raise
            except IotError as e:
                problem = e
    finally:
        if face:
            face.plain.close()
