"""The table of replies: total, within the protocol's bounds, permanent where the reason is."""

import re

import pytest

from mssmail.base.refusal import Reason
from mssmail.servers.smtp import replies

_LINE = re.compile(r"([245])\d\d \1\.\d{1,3}\.\d{1,3} [\x20-\x7e]+\r\n")
FIXED = {name: value for name, value in vars(replies).items() if isinstance(value, bytes)}


@pytest.mark.parametrize("reason", Reason)
def test_reason(reason: Reason) -> None:
    """Each reason has one ASCII line of 512 octets at most, French and English, with an enhanced code of its class."""
    reply = replies.REASONS[reason]
    assert _LINE.fullmatch(reply.decode("ascii"))
    assert b" / " in reply
    assert len(reply) <= replies.MAX_REPLY_OCTETS


@pytest.mark.parametrize("reason", set(Reason) - {Reason.TOO_MANY_RECIPIENTS})
def test_permanence(reason: Reason) -> None:
    """What may succeed later is 4xx, all else 5xx; too many recipients are 452, for the rest may follow at once."""
    assert replies.REASONS[reason][:1] == (b"4" if reason.temporary else b"5")


def test_gate_told_apart() -> None:
    """Each reason of the gate has an enhanced code of its own."""
    gate = list(Reason)[: list(Reason).index(Reason.CREDENTIALS)]
    assert len({replies.REASONS[reason].split()[1] for reason in gate}) == len(gate) == 7


def test_used_code_is_hidden() -> None:
    """A used code reads as wrong credentials do."""
    assert replies.REASONS[Reason.CODE_USED] == replies.REASONS[Reason.CREDENTIALS]


@pytest.mark.parametrize("name", FIXED)
def test_fixed(name: str) -> None:
    """Every reply of the protocol's own bears an enhanced code, but 354."""
    reply = FIXED[name].decode("ascii")
    assert _LINE.fullmatch(reply) or (name == "START_DATA" and reply.startswith("354 "))
    assert len(reply) <= replies.MAX_REPLY_OCTETS
