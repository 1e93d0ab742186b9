# part of the simulator, never copied to a board
"""`machine.Pin`: pins that only remember their level."""

from micropython import const


class Pin:
    IN = const(1)
    OUT = const(3)
    OPEN_DRAIN = const(7)
    PULL_UP = const(2)
    PULL_DOWN = const(1)
    IRQ_RISING = const(1)
    IRQ_FALLING = const(2)

    def __init__(self, id, mode=-1, pull=-1, *, value=0, **options):
        self._level = value

    def init(self, *arguments, **options):
        pass

    def value(self, *level):
        if not level:
            return self._level
        self._level = 1 if level[0] else 0
        return None

    __call__ = value

    def on(self):
        self._level = 1

    def off(self):
        self._level = 0

    def irq(self, *arguments, **options):
        pass
