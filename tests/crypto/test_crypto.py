"""Sealing: what was sealed opens, what was touched doesn't, and a destroyed key is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.clock import FakeClock
from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.base.refusal import Reason, Refusal
from mssmail.crypto.body import BodyOpener, BodySealer, chunks_of, new_key, open_record, seal_record
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.format import CHUNK_OCTETS
from mssmail.crypto.keys import KeyRing
from mssmail.crypto.keystore import KeyDestroyed, KeyKind, KeyStore
from mssmail.crypto.kms.interface import KeyProviderError
from mssmail.crypto.kms.local import LocalKeyProvider, create_root
from mssmail.store.engine import make_key_engine

BODY = BodyId(7)


def sealed(plain: bytes, key: bytes, cuts: list[int]) -> list[bytes]:
    sealer = BodySealer(key, BODY)
    out: list[bytes] = []
    at = 0
    for cut in [*sorted(cuts), len(plain)]:
        out += list(sealer.write(plain[at:cut]))
        at = max(at, cut)
    return [*out, sealer.finish()]


@given(size=st.integers(0, 3 * CHUNK_OCTETS + 5), cuts=st.lists(st.integers(0, 3 * CHUNK_OCTETS), max_size=5))
def test_a_body_opens_whatever_pieces_it_came_in(size: int, cuts: list[int]) -> None:
    """Every chunk but the last is full, and together they give the octets back."""
    plain = bytes(k * 7 % 251 for k in range(size))
    key = new_key()
    chunks = sealed(plain, key, [c for c in cuts if c <= size])
    opener = BodyOpener(key, BODY, len(chunks))
    opened = [opener.open(k, chunk) for k, chunk in enumerate(chunks)]
    assert b"".join(opened) == plain
    assert all(len(each) == CHUNK_OCTETS for each in opened[:-1])


def test_touched_bodies_do_not_open() -> None:
    """A flipped bit, a moved chunk, a lost tail, another body's number: none opens."""
    key, plain = new_key(), b"x" * (3 * CHUNK_OCTETS)
    chunks = sealed(plain, key, [])
    assert len(chunks) == 3
    flipped = bytes([chunks[0][0] ^ 1]) + chunks[0][1:]
    for opener, number, chunk in (
        (BodyOpener(key, BODY, 3), 0, flipped),
        (BodyOpener(key, BODY, 3), 1, chunks[0]),
        (BodyOpener(key, BODY, 2), 1, chunks[1]),
        (BodyOpener(key, BODY, 4), 2, chunks[2]),
        (BodyOpener(key, BodyId(8), 3), 0, chunks[0]),
        (BodyOpener(new_key(), BODY, 3), 0, chunks[0]),
        (BodyOpener(key, BODY, 3), 0, b""),
    ):
        with pytest.raises(Unsealable):
            opener.open(number, chunk)


def test_chunks_of_covers_exactly() -> None:
    """The chunks that hold a range of octets, an empty one included."""
    assert list(chunks_of(0, 0)) == [0]
    assert list(chunks_of(CHUNK_OCTETS - 1, CHUNK_OCTETS)) == [0]
    assert list(chunks_of(CHUNK_OCTETS - 1, CHUNK_OCTETS + 1)) == [0, 1]


@pytest.mark.parametrize("generation", [0, 3])
def test_records_open_under_their_own_generation(generation: int) -> None:
    """A record opens; with another generation's number, or for another body, it doesn't."""
    key = new_key()
    record = seal_record(key, BODY, b"record " * 50, generation)
    assert open_record(key, BODY, record) == b"record " * 50
    for body, octets in ((BODY, bytes([generation + 1]) + record[1:]), (BodyId(8), record), (BODY, record[:-1])):
        with pytest.raises(Unsealable):
            open_record(key, body, octets)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    create_root(tmp_path / "root.key")
    made = KeyStore(
        make_key_engine(f"sqlite:///{tmp_path}/keys.db"), LocalKeyProvider(tmp_path / "root.key"), FakeClock()
    )
    made.open()
    yield made
    made.close()


def test_wraps_belong_to_one_account_body_and_period(store: KeyStore) -> None:
    """A wrapped key opens for its own account, body and period alone."""
    clock = FakeClock()
    store.create(KeyKind.ACCOUNT, (1, 2))
    ring = KeyRing(store, clock)
    period, later = Period(int(clock.now()) + 100), Period(int(clock.now()) + 200)
    key = new_key()
    wrapped = ring.wrap(AccountId(1), BODY, period, key)
    assert ring.unwrap(AccountId(1), BODY, period, wrapped) == key
    for account, body, other in ((2, 7, period), (1, 8, period), (1, 7, later)):
        with pytest.raises(Unsealable):
            ring.unwrap(AccountId(account), BodyId(body), other, wrapped)


def test_a_destroyed_period_closes_for_every_process(store: KeyStore, tmp_path: Path) -> None:
    """Once a period has ended and its key is destroyed, no ring opens its wraps, and none is made anew."""
    clock = FakeClock()
    store.create(KeyKind.ACCOUNT, (1,))
    mine, theirs = KeyRing(store, clock), KeyRing(store, clock)
    period = Period(int(clock.now()) + 100)
    wrapped = mine.wrap(AccountId(1), BODY, period, new_key())
    theirs.unwrap(AccountId(1), BODY, period, wrapped)
    clock.advance(101)
    mine.unwrap(AccountId(1), BODY, period, wrapped)
    before = (tmp_path / "keys.db").read_bytes()
    store.destroy(KeyKind.PERIOD, period)
    for ring in (mine, theirs):
        with pytest.raises(KeyDestroyed):
            ring.unwrap(AccountId(1), BODY, period, wrapped)
        with pytest.raises(KeyDestroyed):
            ring.prepare(period)
    state = store.state(KeyKind.PERIOD, period)
    assert state is not None
    assert state.destroyed_at is not None
    after = (tmp_path / "keys.db").read_bytes()
    row = before.find(b"period")
    assert row > 0
    lost = [before[k : k + 48] for k in range(0, len(before) - 48, 16) if any(before[k : k + 48])]
    assert any(piece not in after for piece in lost), "the wrapped key's octets must be overwritten"


def test_wrong_missing_or_damaged_roots_are_told_by_their_file(store: KeyStore, tmp_path: Path) -> None:
    """Each kind of bad root key file is refused by a message that names the file."""
    other = tmp_path / "other.key"
    create_root(other)
    again = KeyStore(make_key_engine(f"sqlite:///{tmp_path}/keys.db"), LocalKeyProvider(other), FakeClock())
    with pytest.raises(KeyProviderError, match=r"other\.key"):
        again.open()
    with pytest.raises(FileExistsError):
        create_root(other)
    (tmp_path / "bad.key").write_text("mssmail-root-1:AAAA\n")
    (tmp_path / "text.key").write_text("hello\n")
    for name in ("none.key", "bad.key", "text.key"):
        with pytest.raises(KeyProviderError, match=name):
            LocalKeyProvider(tmp_path / name)


def test_names_are_found_by_digest_and_open_in_their_account_alone(store: KeyStore) -> None:
    """Two accounts' digests of one name differ, and a sealed name doesn't open under another account."""
    store.create(KeyKind.ACCOUNT, (1, 2))
    ring = KeyRing(store, FakeClock())
    one, two = AccountId(1), AccountId(2)
    assert ring.name_digest(one, "folder", "Été") != ring.name_digest(two, "folder", "Été")
    sealed_name = ring.seal_name(one, "Été", b"aad")
    assert ring.open_name(one, sealed_name, b"aad") == "Été"
    with pytest.raises(Unsealable):
        ring.open_name(two, sealed_name, b"aad")
    ring.forget_account(one)
    store.destroy(KeyKind.ACCOUNT, 1)
    with pytest.raises(KeyDestroyed):
        ring.open_name(one, sealed_name, b"aad")


def test_a_key_store_that_cannot_write_is_a_refusal(store: KeyStore, tmp_path: Path) -> None:
    """A database that is away is told as UNAVAILABLE, not as a failure of ours."""
    (tmp_path / "keys.db").unlink()
    (tmp_path / "keys.db").mkdir()
    with pytest.raises(Refusal) as refused:
        store.obtain(KeyKind.PERIOD, 1)
    assert refused.value.reason is Reason.UNAVAILABLE
