# part of the simulator, never copied to a board
"""Idle time in a hurry: a sleep takes an N-th of its time, and the ticks jump over the rest.

Only sleeping is hurried: a deadline of the network keeps its real length, for the other end lives
in real time. The wall clock is left alone as well: certificates must not expire meanwhile.
"""


def install(time, times):
    """Replace the functions of the module `time` that sleep or count. times: N, 2 or more."""
    skipped = 0  # microseconds
    utime = time._unix

    def sleep_us(us):
        nonlocal skipped
        if us > 0:
            real = us // times
            if real:
                utime.sleep_us(real)
            skipped += us - real

    time.sleep_us = sleep_us
    time.sleep_ms = lambda ms: sleep_us(ms * 1000)
    time.sleep = lambda seconds: sleep_us(int(seconds * 1000000))
    time.ticks_us = lambda: utime.ticks_add(utime.ticks_us(), skipped)
    time.ticks_ms = lambda: utime.ticks_add(utime.ticks_ms(), skipped // 1000)
