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
    delay_notice: Seconds = _setting(
        kind.duration(60, 30 * DAY),
        Seconds(4 * 3600),
        "How long a message waits before its sender is told of the delay.",
    )
