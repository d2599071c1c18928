"""The settings of the queue: how long and how often other operators are tried. A section of `model`."""

from dataclasses import dataclass
from typing import Final

from mssmail.settings import kind
from mssmail.settings.field import setting as _setting
from mssmail.settings.units import Seconds

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Queue:
    lifetime: Seconds = _setting(
        kind.duration(60, 30 * DAY),
        Seconds(5 * DAY),
        "How long a message is tried that another operator doesn't take; then its sender is told that it failed "
        "(RFC 5321 §4.5.4.1: four to five days at least).",
    )
    first_retry: Seconds = _setting(
        kind.duration(1, 3600), Seconds(15), "Pause after the first attempt that failed; each next one is longer."
    )
    longest_retry: Seconds = _setting(kind.duration(1, DAY), Seconds(4 * 3600), "Longest pause between two attempts.")
    delay_notice: Seconds = _setting(
        kind.duration(60, 30 * DAY),
        Seconds(4 * 3600),
        "How long a message waits before its sender is told of the delay.",
    )
    trace: Seconds = _setting(
        kind.duration(0, 365 * DAY),
        Seconds(7 * DAY),
        "How long it is shown what became of a message, after its last recipient's end.",
    )
    concurrency: int = _setting(
        kind.integer(1, 1000), 50, "Messages on their way to other operators at once, in each worker."
    )
