"""The same device for applications that are coroutines.

    async def on_message(session, topic, payload):
        await session.publish(session.topic("thing/event/property/post"), reading())

    asyncio.run(aio.run(on_connect, on_message))

Other tasks go on while this one connects, waits, sends or is answered; nothing of the protocol is
written twice. What cannot be split holds them up: the name look-up, each step of TLS's arithmetic,
flash, a registration (once in a board's life) and joining a Wi-Fi network that was lost.
"""

import asyncio

from . import ConfigError, IotError, NetworkError, RefusedError, phase, select, time
from . import session as _session  # noqa: F401 - stays, where a phase would unload it
from .device import Device
from .wire import broken


class Session:
    """A device's session whose exchanges are awaited; see `session.Session` for what they do.

    Any number of tasks may use it. A task that is cancelled in an exchange loses the connection:
    half a packet may have left.
    """

    def __init__(self, session):
        self.plain = session
        self.topic = session.topic
        self._lock = asyncio.Lock()  # one exchange at a time
        self._waiting = False  # whether a task waits on the socket: asyncio takes only one
        self._came = asyncio.Event()  # something came, for those who do not wait themselves

    async def publish(self, topic, payload, qos=0):
        """As `session.Session.publish`.

        A QoS 1 message that waited for another task's exchange when the connection was lost is
        not kept: where several tasks publish, each sends again what raised.
        """
        await self.drive(self.plain.publishing(topic, payload, qos))

    async def subscribe(self, topic):
        """As `session.Session.subscribe`."""
        await self.drive(self.plain.subscribing(topic))

    async def wait(self, ms):
        """As `session.Session.wait`; for one task at a time, which `run` is."""
        until = time.ticks_add(time.ticks_ms(), ms)
        plain = self.plain
        await asyncio.sleep_ms(0)  # other tasks go on, whatever comes in and however fast
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
        """As `session.Session.run`: carry out a generator that yields (event, ms)."""
        async with self._lock:
            await self._drive(steps)

    async def _drive(self, steps):
        whole = False
        try:
            for event, ms in steps:
                await self._ready(event, ms)
                if not self.plain.sock:  # closed meanwhile: `Device.rotate`
                    raise NetworkError("not connected")
            whole = True
        except OSError as e:
            raise broken(e)
        except (ValueError, TypeError):
            whole = True
            raise
        except RefusedError as e:
            whole = e.code == 0x80  # as there: a topic, not the connection
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
                # Reads nothing, once there is something to read.
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
            # In pieces TLS does not say what is wrong with a certificate, or not as a TlsError;
            # in one go it does.
            plain.run(plain.connecting(device.login()[0]))
    except IotError as e:
        if hasattr(device, "missed"):  # where there is another place: see `moving`
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
    """Bring the device online and keep it there, for ever: as `device.run`.

    The functions may be coroutines, and are given a `Session` of this module.
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
