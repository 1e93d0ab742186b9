"""What a device in the field may meet, done to a simulated board on purpose, and counted.

`make faults`, `make fuzz` and `make soak` run it in full; the test suite runs a share of it.
"""
