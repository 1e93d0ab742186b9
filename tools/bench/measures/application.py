"""An application: its loop on a connected board, with this package and without it.

200 rounds of JSON parsed, lists built and dropped, and a message published each fiftieth, on a
heap of 64 kB as a chip counts. Beside it the same loop with umqtt.simple and credentials made
beforehand. Best of some rounds, boards in turn.

Nothing of the package runs meanwhile but `publish`. What it costs the rest of the loop are its
names: MicroPython compares each text that is made with every name that code on the flash brought,
one after the other; names of frozen modules are found by halving. So a third board runs without
the package, but with as many names more.
"""

from __future__ import annotations

import re
from typing import Any

from tools.bench.flow import BOOT_SECONDS
from tools.bench.measures.messages import login
from tools.bench.place import DEVICE, PRODUCT_KEY, Place, script_text
from tools.bench.results import Section, Table, number
from tools.board import Board

HEAP = f"{64 * 1024}w"
LOOP = r"n_qstr=(\d+)[^\0]*loop (\d+)\n"
PACKAGE, UMQTT, NAMES = "this package", "umqtt.simple", "umqtt.simple, as many names"


def _board(place: Place, rounds: int, who: str, names: int = 0) -> Board:
    name = place.new_mac()
    client_id, user, password = login(name, place.secret_of(name))
    values: dict[str, Any] = {
        "PRODUCT_KEY": PRODUCT_KEY,
        "NAME": name,
        "NAMES": names,
        "ROUNDS": rounds,
        "WITH": who,
        "CLIENT_ID": client_id,
        "USER": user,
        "PASSWORD": password,
        "MQTT_PORT": place.mqtt_port,
    }
    script = DEVICE / "application.py"
    options: dict[str, Any] = {"heap": HEAP, "folder": place.folder / name}
    if who == PACKAGE:
        return place.board(place.image(main=script_text(script, values)), name, **options)
    return place.board(
        place.bare_image(script, values), name, frozen=place.naive_frozen, **options
    )


def _loop(board: Board) -> tuple[int, int]:
    """Names beside the firmware's, and microseconds."""
    result = board.boot(LOOP, BOOT_SECONDS)
    found = re.search(LOOP, result.output)
    if found is None:
        raise RuntimeError(f"an application's loop: {result.ending}: {result.output}")
    return int(found[1]), int(found[2])


def section(place: Place, quick: bool) -> Section:
    """Measure it."""
    part = Section("Application", __doc__ or "")
    rounds = 5 if quick else 20
    boards = {who: _board(place, rounds, who) for who in (PACKAGE, UMQTT)}
    names = {who: _loop(board)[0] for who, board in boards.items()}
    boards[NAMES] = _board(place, rounds, NAMES, names[PACKAGE] - names[UMQTT])
    best: dict[str, int] = {}
    for _ in range(2 if quick else 5):
        for who, board in boards.items():
            names[who], took = _loop(board)
            best[who] = min(best.get(who, took), took)
    part.figures["application.loop"] = best[PACKAGE] / best[UMQTT]
    part.figures["application.loop.names"] = best[PACKAGE] / best[NAMES]
    rows = [
        (who, str(names[who]), number(took / 1000), number(best[PACKAGE] / took))
        for who, took in best.items()
    ]
    columns = ("with", "names", "milliseconds", "this package beside it")
    part.tables.append(Table("An application's loop", columns, rows))
    return part
