"""A network between boards and two instances that fails at random, for as long as it is wanted."""

from __future__ import annotations

import random
import threading

from tools.faults.places import TwoPlaces
from tools.faults.proxy import Direction, Fault, Kind

_BAD = ("refuse", "no host", "not JSON", "another host")


class Chaos:
    """Faults for the connections to come, and answers of bootstrap that are of no use."""

    def __init__(self, bench: TwoPlaces, rng: random.Random) -> None:
        self._bench = bench
        self._rng = rng
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.injected = 0

    def __enter__(self) -> Chaos:
        for proxy in (self._bench.mqtt, self._bench.new_mqtt, self._bench.https):
            proxy.expect(self._fault() for _ in range(2000))
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        self.calm()

    def calm(self) -> None:
        """From here on all is well."""
        self._over.set()
        for proxy in (self._bench.mqtt, self._bench.new_mqtt, self._bench.https):
            proxy.expect([])
        self._bench.platform.behaviour.bootstrap = "answer"

    def _fault(self) -> Fault:
        rng = self._rng
        if rng.random() < 0.6:
            return Fault()
        kinds: tuple[Kind, ...] = ("cut", "reset", "stall", "delay", "refuse", "garbage")
        kind = rng.choices(kinds, (6, 6, 1, 3, 3, 3))[0]
        ways: tuple[Direction, ...] = ("up", "down")
        after = rng.randrange(2600)
        return Fault(kind, rng.choice(ways), after, seconds=0.1, data=rng.randbytes(40))

    def _work(self) -> None:
        while not self._over.wait(self._rng.uniform(0.2, 0.8)):
            bad = self._rng.random() < 0.5
            answer = self._rng.choice(_BAD) if bad else "answer"
            self._bench.platform.behaviour.bootstrap = answer  # type: ignore[assignment]
            self.injected += bad
            if self._rng.random() < 0.1:
                self._rng.choice((self._bench.mqtt, self._bench.new_mqtt)).strike("close")
                self.injected += 1
