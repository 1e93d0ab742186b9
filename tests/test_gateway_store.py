"""The certificates of sub-devices on flash: durable, findable, at a constant cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]


def do(on_device: OnDevice, *steps: list[Any]) -> Any:
    return on_device("gateway_store.py", list(steps), heap="4M")


def batches(count: int, size: int = 30) -> list[list[Any]]:
    return [["save", at, min(size, count - at)] for at in range(0, count, size)]


@pytest.mark.parametrize(
    ("stored", "batch"),
    [(0, [0, 30]), (20, [20, 30]), (40, [25, 30])],
    ids=["first page", "two pages", "replacing and adding"],
)
def test_a_power_cut_while_a_batch_is_stored_leaves_each_old_or_new(
    on_device: OnDevice, stored: int, batch: list[int]
) -> None:
    got = on_device("gateway_cuts.py", {"stored": stored, "batch": batch}, heap="4M", timeout=120)
    assert got["bad"] == []
    assert got["tried"] == got["operations"] * 3 > 0
    assert got["partly"] > 0 or stored == 0


def test_a_stored_certificate_is_found_by_name_with_its_place(on_device: OnDevice) -> None:
    got = do(on_device, *batches(70), ["reopen"], ["find", 68, 4])
    found = got["results"][-1]
    assert sorted(found) == ["sensor-0068", "sensor-0069"]
    assert {place // 30 for place, _ in found.values()} == {2}
    assert sorted(got["pages"]) == ["00.json", "01.json", "02.json"]


def test_a_new_secret_takes_the_place_of_the_old_one(on_device: OnDevice) -> None:
    one = [35, 1]
    got = do(on_device, *batches(40), ["find", *one], ["save", *one, "n"], ["find", *one])
    before, _, after = got["results"][-3:]
    assert before["sensor-0035"][1] == "s"
    assert after == {"sensor-0035": [before["sensor-0035"][0], "n"]}
    assert got["stored"] == 40


def test_a_batch_of_the_longest_names_fits_into_one_block(on_device: OnDevice) -> None:
    got = do(on_device, ["longest"])
    assert got["stored"] == 30
    assert got["pages"]["00.json"] <= 4096


def test_two_thousand_are_stored_and_each_batch_costs_the_same(on_device: OnDevice) -> None:
    got = do(on_device, *batches(2000))
    assert got["stored"] == got["different"] == 2000
    assert len(got["pages"]) == 67
    operations = [count for count, _ in got["costs"][:-1]]
    programmed = [size for _, size in got["costs"][:-1]]
    assert max(operations) <= 60  # littlefs occasionally splits a full directory
    assert sum(programmed[-10:]) <= 1.5 * sum(programmed[:10])
    assert sum(operations) / 2000 < 1
    assert sum(programmed) / 2000 < 120


def test_storing_one_at_a_time_costs_no_more_at_the_end(on_device: OnDevice) -> None:
    got = do(on_device, *batches(300, 1))
    assert len(got["pages"]) == 10
    per_page = [sum(size for _, size in got["costs"][at : at + 30]) for at in range(0, 300, 30)]
    assert max(per_page) <= 1.3 * min(per_page)


def test_removed_certificates_free_space_once_all_pages_are_in_use(on_device: OnDevice) -> None:
    got = do(
        on_device,
        *batches(2010),
        ["save", 3000, 1],
        ["remove", 100, 20],
        ["save", 3000, 20],
        ["find", 3000, 1],
        ["save", 4000, 1],
    )
    full, _, again, found, full_again = got["results"][-5:]
    assert full == {"error": "StoreError", "text": "/ram/subdevices: no room for more than 2010"}
    assert again is None
    assert 90 <= found["sensor-3000"][0] < 120  # on the pages with free space
    assert full_again == full
    assert (got["stored"], len(got["pages"])) == (2010, 67)


def test_a_damaged_page_loses_only_its_own_sub_devices(on_device: OnDevice) -> None:
    got = do(on_device, *batches(90), ["damage", 1], ["reopen"], ["find", 0, 90])
    assert len(got["results"][-1]) == 60
    assert got["stored"] == 60


def test_a_missing_page_does_not_hide_the_pages_after_it(on_device: OnDevice) -> None:
    got = do(on_device, *batches(90), ["drop", 1], ["reopen"], ["save", 30, 30], ["find", 0, 90])
    assert len(got["results"][-1]) == 90
    assert got["stored"] == got["different"] == 90
