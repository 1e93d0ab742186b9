"""`python -m tools.faults exhaustive | fuzz | soak | fleet | move | report`."""

from __future__ import annotations

import argparse
import os
import sys


def main() -> int:
    """Run one experiment; 1 when it found a problem."""
    parser = argparse.ArgumentParser(prog="aliyun-iot faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    workers = max(2, os.cpu_count() or 2)
    exhaustive = commands.add_parser("exhaustive", help="every power cut, every byte")
    exhaustive.add_argument("--workers", type=int, default=workers, help="processes")
    exhaustive.add_argument("--only", default="", metavar="TEXT", help='such as "cut https"')
    fuzz = commands.add_parser("fuzz", help="mutated HTTP answers, MQTT streams, gateway replies")
    fuzz.add_argument("--cases", type=int, default=100_000, help="of each kind")
    soak = commands.add_parser("soak", help="boots with random faults of all kinds")
    soak.add_argument("--boots", type=int, default=1000, help="at least so many")
    soak.add_argument("--life", type=int, metavar="N", help="only this one, of a problem's line")
    for command in (fuzz, soak):
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--workers", type=int, default=workers, help="processes")
    commands.add_parser("fleet", help="a thousand devices powered on at once: a picture")
    moving = commands.add_parser("move", help="a fleet is moved to another instance, with faults")
    moving.add_argument("--boards", type=int, default=200)
    moving.add_argument("--seed", type=int, default=1)
    commands.add_parser("report", help="write docs/reliability.md from what the others found")
    asked = parser.parse_args()
    if asked.command == "exhaustive":
        from tools.faults import exhaustive as experiment

        return 0 if experiment.run(asked.workers, asked.only) else 1
    if asked.command == "fuzz":
        from tools.faults import fuzz as fuzzing

        return 0 if fuzzing.run(asked.cases, asked.seed, asked.workers) else 1
    if asked.command == "soak":
        from tools.faults import soak as soaking

        if asked.life is not None:
            return 0 if soaking.run_one(asked.life, asked.seed) else 1
        return 0 if soaking.run(asked.boots, asked.seed, asked.workers) else 1
    if asked.command == "fleet":
        from tools.faults import fleet

        return fleet.run()
    if asked.command == "move":
        from tools.faults import fleet_move

        return 0 if fleet_move.run(asked.boards, asked.seed) else 1
    from tools.faults import report

    return report.run()


if __name__ == "__main__":
    sys.exit(main())
