# part of the simulator, never copied to a board
"""`esp`: only what boot scripts habitually call."""


def osdebug(*level):
    pass
