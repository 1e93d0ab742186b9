"""Power is lost at every operation on the flash: what does the board come back with?"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from tools.board import Board, Cut
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.faults.tally import Tally, share
from tools.image import BLOCK_SIZE, FlashLayout, ImageError
from tools.iot_platform import Identity

When = Literal["before", "middle", "after"]
WHEN: tuple[When, ...] = ("before", "middle", "after")
SUBDEVICES = 6
SUBDEVICE_KEY = "a1SensorKey0"
_MOST_BOOTS = 4
_LAYOUT = FlashLayout(size=64 * BLOCK_SIZE)
_ROOM = 6
"""Free blocks of a flash that is made small: writing over them takes 32 operations each."""
SUBDEVICES_ONLINE = rf"subdevices online {SUBDEVICES}\n"
"""What a gateway with `bring_online` says."""
_BRING_ONLINE = """
def bring_online(session):
    from aliyun_iot.gateway import Gateway

    subs = [("{key}", "{name}-%d" % n) for n in range({count})]
    print("subdevices online", Gateway(session).bring_online(subs))
"""
_GATEWAY = """
from aliyun_iot import device

device.run(bring_online)
"""


@dataclass(frozen=True)
class Scenario:
    """What the board is doing when the power goes.

    until: the output that ends it well. prepare: makes a board that is about to do it, and says
    which secrets may be on its flash after a cut (None: none at all).
    """

    name: str
    until: str
    prepare: Callable[[Bench], tuple[Board, set[str | None]]]
    judge: Callable[[Bench, Board], Iterator[str]]


def one_secret(bench: Bench, board: Board) -> Iterator[str]:
    """What is wrong with the identity on a board's flash."""
    record = json.loads(board.read("/device.json") or b"{}")
    if "deviceToken" in record:
        clients = bench.platform.registry.clients(PRODUCT_KEY, board.mac)
        if record["deviceToken"] not in {client.device_token for client in clients}:
            yield "the stored token is not the platform's"
    elif record.get("deviceSecret") != bench.secret_of(board.mac):
        yield "the stored secret is not the platform's"
    if not bench.platform.record.events("connect", PRODUCT_KEY, board.mac, 0):
        yield "it never connected"
    if board.read("/device.json.new") is not None:
        yield "/device.json.new is left over"


def _first_boot(bench: Bench, **product: Any) -> tuple[Board, set[str | None]]:
    return bench.board(bench.image(bench.product(**product), layout=_LAYOUT)), {None}


@functools.cache
def _small_layout(bench: Bench) -> FlashLayout:
    for blocks in range(32, 256):
        try:
            bench.image(layout=FlashLayout(size=blocks * BLOCK_SIZE))
        except ImageError:
            continue  # too small for the files
        return FlashLayout(size=(blocks + _ROOM) * BLOCK_SIZE)
    raise RuntimeError("the files do not fit")


def _forgetting(bench: Bench) -> tuple[Board, set[str | None]]:
    """As a first boot, on a flash with little room."""
    product = bench.product(forgetProductSecret=True)
    return bench.board(bench.image(product, layout=_small_layout(bench))), {None}


def _replacing(bench: Bench) -> tuple[Board, set[str | None]]:
    """The platform has made the secret invalid; the board will be refused and register again."""
    board, _ = _first_boot(bench)
    result = board.boot(CONNECTED, 30)
    if result.ending != "until":
        raise RuntimeError(result.output)
    old = bench.stored_secret(board)
    bench.platform.reset(PRODUCT_KEY, board.mac)
    bench.platform.registry.issue_secret(Identity(PRODUCT_KEY, board.mac), fresh=True)
    return board, {old}


def _subdevices(bench: Bench) -> tuple[Board, set[str | None]]:
    """A connected gateway that is about to register its sub-devices and to store them."""
    board = bench.board(bench.image(layout=_LAYOUT))
    add_subdevices(bench, board)
    board.write("/main.py", (bring_online(board) + _GATEWAY).encode())
    return board, {None}


def subdevices(board: Board) -> list[Identity]:
    """Those of a gateway."""
    return [Identity(SUBDEVICE_KEY, f"{board.mac}-{n}") for n in range(SUBDEVICES)]


def add_subdevices(bench: Bench, board: Board) -> None:
    """Pre-register a gateway's sub-devices."""
    registry = bench.platform.registry
    if registry.find_product(SUBDEVICE_KEY) is None:
        registry.add_product(SUBDEVICE_KEY)
    registry.add_devices(SUBDEVICE_KEY, [name for _, name in subdevices(board)])


def bring_online(board: Board) -> str:
    """Source of `bring_online(session)`, which brings a gateway's sub-devices online."""
    return _BRING_ONLINE.format(key=SUBDEVICE_KEY, name=board.mac, count=SUBDEVICES)


def wrong_subdevices(bench: Bench, board: Board) -> Iterator[str]:
    """What is wrong with the sub-devices' secrets that a gateway has stored."""
    page = json.loads(board.read("/subdevices/00.json") or b"{}")
    stored = [page[place].split(" ") for place in page if place != "check"]
    registry = bench.platform.registry
    valid = [[*names, registry.device(*names).device_secret] for names in subdevices(board)]
    if sorted(stored) != sorted(valid):
        yield "the sub-devices' stored secrets are not the platform's"


def _subdevices_stored(bench: Bench, board: Board) -> Iterator[str]:
    yield from one_secret(bench, board)
    yield from wrong_subdevices(bench, board)


def _forgotten(bench: Bench, board: Board) -> Iterator[str]:
    yield from one_secret(bench, board)
    product = json.loads(board.read("/product.json") or b"{}")
    if "productSecret" in product or "forgetProductSecret" in product:
        yield "product.json still has the ProductSecret, or the wish to forget it"
    if product.get("productKey") != PRODUCT_KEY:
        yield "product.json is damaged"


FIRST_BOOT = Scenario("first boot", CONNECTED, _first_boot, one_secret)
MQTT_FIRST_BOOT = Scenario(
    "first boot, registration over MQTT without pre-registration",
    CONNECTED,
    lambda bench: _first_boot(bench, registration="mqtt-free"),
    one_secret,
)
REPLACING = Scenario("replacing a refused secret", CONNECTED, _replacing, one_secret)
SUBDEVICES_STORED = Scenario(
    "storing sub-devices",
    SUBDEVICES_ONLINE,
    _subdevices,
    _subdevices_stored,
)
FORGETTING = Scenario(
    "forgetting the ProductSecret",
    "message on",
    _forgetting,
    _forgotten,
)
SCENARIOS = (FIRST_BOOT, MQTT_FIRST_BOOT, REPLACING, SUBDEVICES_STORED, FORGETTING)


def cut_everywhere(
    bench: Bench, scenario: Scenario, most: int | None = None, seed: int = 0, workers: int = 2
) -> Tally:
    """Cut the power before, in the middle of and after every flash operation of `scenario`."""
    tally = Tally(f"power cut, {scenario.name}")
    board, _ = scenario.prepare(bench)
    whole = board.boot(scenario.until, 60)
    if whole.ending != "until":
        raise RuntimeError(f"{scenario.name}: {whole.ending}: {whole.output[-2000:]}")
    every = range(1, whole.flash_operations + 1)
    cuts = share([Cut(operation, when) for operation in every for when in WHEN], most, seed)

    def attempt(cut: Cut) -> tuple[str, list[str]]:
        board, before = scenario.prepare(bench)
        return _attempt(bench, scenario, board, before, cut)

    with ThreadPoolExecutor(workers) as pool:
        for cut, (outcome, problems) in zip(cuts, pool.map(attempt, cuts), strict=True):
            tally.note(outcome)
            for problem in problems:
                tally.problem(f"{cut.when} operation {cut.operation}: {problem}")
    tally.name += f" ({whole.flash_operations} operations)"
    return tally.done(bench.leaks())


def _attempt(
    bench: Bench, scenario: Scenario, board: Board, before: set[str | None], cut: Cut
) -> tuple[str, list[str]]:
    """One cut, and as many boots as it takes."""
    result = board.boot(scenario.until, 60, power_cut=cut)
    if result.ending != "power cut":
        # The last operation may come after what `until` waits for: then there is nothing to cut.
        return "not cut", [f"{result.ending}: the power was not cut: {result.output[-500:]}"]
    problems = []
    left = board.read("/device.json")
    try:
        record = json.loads(left) if left else {}
    except ValueError:
        record = {}
        problems.append("device.json is torn")
    secret = record.get("deviceSecret") or record.get("deviceToken")
    allowed = before | {bench.secret_of(board.mac)} | _tokens(bench, board)
    if secret not in allowed:
        problems.append("device.json is neither the old one nor the new one")
    for boots in range(1, _MOST_BOOTS + 1):
        result = board.boot(scenario.until, 60)
        if result.ending == "until":
            problems += scenario.judge(bench, board)
            return f"well after {boots} boot{'s' * (boots > 1)}", problems
    return "never well", [*problems, f"{result.ending}: {result.output[-500:]}"]


def _tokens(bench: Bench, board: Board) -> set[str | None]:
    clients = bench.platform.registry.clients(PRODUCT_KEY, board.mac)
    return {client.device_token for client in clients}
