# part of the simulator, never copied to a board
"""`flashbdev`: the firmware's own name for the partition `vfs`; set at the start."""

bdev = None
