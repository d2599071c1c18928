"""Letters and rights: what ties them, what a client's letters come to, and that both ways agree (RFC 4314 §2)."""

from itertools import product

import pytest

from mssmail.base.rights import FULL, NONE, Right
from mssmail.wire.imap.acl import ALWAYS, LETTERS, TIED, VIRTUAL, Mode, Revision, group, spell

READ, WRITE, SEND, MANAGE = Right.READ, Right.WRITE, Right.SEND, Right.MANAGE
EVERY = [Right(n) for n in range(FULL.value + 1) if not (Right(n) & WRITE) or Right(n) & READ]
"""Sets in which nobody writes unseen."""


def revised(held: Right, spelt: str) -> Right:
    mode = Mode(spelt[:1]) if spelt[:1] in ("+", "-") else Mode.REPLACE
    return Revision(mode, frozenset(spelt.removeprefix(mode.value))).of(held)


@pytest.mark.parametrize(
    ("held", "spelt", "rights"),
    [
        (NONE, "lr", READ),
        (NONE, "lrs", READ),
        (NONE, "l", NONE),
        (NONE, "lrswipkxte", READ | WRITE),
        (NONE, "lrswicd", READ | WRITE),
        (NONE, "lrswipcda", READ | WRITE | MANAGE),
        (NONE, "lrswite", READ),
        (NONE, "switekx", NONE),
        (NONE, "0", SEND),
        (NONE, "p", NONE),
        (FULL, "", NONE),
        (READ, "+switekx", READ | WRITE),
        (READ, "+sw", READ),
        (NONE, "+switekx", NONE),
        (SEND, "+lr", READ | SEND),
        (FULL, "-w", FULL & ~WRITE),
        (FULL, "-d", FULL & ~WRITE),
        (FULL, "-c", FULL & ~WRITE),
        (FULL, "-l", SEND | MANAGE),
        (FULL, "-p", FULL),
        (FULL, "-a0", READ | WRITE),
    ],
)
def test_revised(held: Right, spelt: str, rights: Right) -> None:
    """Tied letters are given together or not at all, and one that is taken takes the others; nobody writes unseen."""
    assert revised(held, spelt) == rights


@pytest.mark.parametrize("rights", EVERY, ids=spell)
def test_told_and_set_agree(rights: Right) -> None:
    """What ACL tells of rights, set again, gives the same rights, virtual letters and `p` included."""
    assert revised(NONE, spell(rights)) == revised(rights, "+" + spell(rights)) == rights
    assert set(spell(rights)) <= LETTERS
    assert len(set(spell(rights))) == len(spell(rights))


def test_removing_only_removes() -> None:
    """Over all rights and each letter, `-` takes something away or nothing, and `+` of a letter alone gives no more."""
    for held, letter in product(EVERY, LETTERS):
        assert revised(held, "-" + letter) in held
        assert held in revised(held, "+" + letter)


def test_groups() -> None:
    """LISTRIGHTS lists each letter once, with `c` and `d` beside all of their members (RFC 4314 §2.1.1)."""
    groups = [group(right) for right, _ in TIED]
    assert sorted("".join(groups) + ALWAYS) == sorted(LETTERS)
    assert all(any(set(members) | {virtual} <= set(each) for each in groups) for virtual, members in VIRTUAL.items())
