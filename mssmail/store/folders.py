"""Folders, subscriptions and keywords: sealed names by keyed digest, counters beside."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from mssmail.base.ids import AccountId, FolderId, ModSeq, Uid
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import accounts, folders, keywords, subscriptions, vanished

MAX_KEYWORDS = 63
"""The bits of a signed 64-bit column."""


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder as stored."""

    folder_id: FolderId
    account_id: AccountId
    sealed_name: bytes
    role: str | None
    uid_validity: int
    uid_next: Uid
    modseq: ModSeq
    vanished_floor: int
    recent_uid: Uid
    messages: int
    unseen: int
    octets: int


_COLUMNS = (
    folders.c.folder_id,
    folders.c.account_id,
    folders.c.sealed_name,
    folders.c.role,
    folders.c.uid_validity,
    folders.c.uid_next,
    folders.c.modseq,
    folders.c.vanished_floor,
    folders.c.recent_uid,
    folders.c.messages,
    folders.c.unseen,
    folders.c.octets,
)

_PUT = put(folders)
_ALL = Statement(select(*_COLUMNS).where(folders.c.account_id == bindparam("account")))
_BY_NAME = Statement(
    select(*_COLUMNS).where(folders.c.account_id == bindparam("account"), folders.c.name_digest == bindparam("digest"))
)
_BY_ID = Statement(select(*_COLUMNS).where(folders.c.folder_id == bindparam("folder")))
_RENAME = Statement(
    update(folders)
    .where(folders.c.folder_id == bindparam("folder"))
    .values(name_digest=bindparam("digest"), sealed_name=bindparam("sealed"))
)
_DELETE = Statement(delete(folders).where(folders.c.folder_id == bindparam("folder")))
_FORGET_VANISHED = Statement(delete(vanished).where(vanished.c.folder_id == bindparam("folder")))
_COUNTED = update(folders).values(
    uid_next=folders.c.uid_next + bindparam("uids"),
    messages=folders.c.messages + bindparam("more"),
    unseen=folders.c.unseen + bindparam("more_unseen"),
    octets=folders.c.octets + bindparam("more_octets"),
    modseq=bindparam("new_modseq"),
)
_COUNT = Statement(_COUNTED.where(folders.c.folder_id == bindparam("folder")).returning(folders.c.uid_next))
_COUNT_NAMED = Statement(
    _COUNTED.where(
        folders.c.account_id == bindparam("account"), folders.c.name_digest == bindparam("digest")
    ).returning(folders.c.uid_next, folders.c.folder_id, folders.c.uid_validity)
)
_RAISE_FLOOR = Statement(
    update(folders).where(folders.c.folder_id == bindparam("folder")).values(vanished_floor=bindparam("floor"))
)
_TAKE_RECENT = Statement(
    update(folders)
    .where(folders.c.folder_id == bindparam("folder"), folders.c.recent_uid < folders.c.uid_next)
    .values(recent_uid=folders.c.uid_next)
)
_SUBSCRIBE = put(subscriptions, ignore_existing=True)
_UNSUBSCRIBE = Statement(
    delete(subscriptions).where(
        subscriptions.c.account_id == bindparam("account"), subscriptions.c.name_digest == bindparam("digest")
    )
)
_SUBSCRIPTIONS = Statement(
    select(subscriptions.c.sealed_name).where(subscriptions.c.account_id == bindparam("account"))
)
_KEYWORDS = Statement(
    select(keywords.c.number, keywords.c.sealed_name)
    .where(keywords.c.account_id == bindparam("account"))
    .order_by(keywords.c.number)
)
_PUT_KEYWORD = put(keywords)
_TAKE_KEYWORD = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"), accounts.c.keywords < MAX_KEYWORDS)
    .values(keywords=accounts.c.keywords + 1)
    .returning(accounts.c.keywords)
)


def _row(row: tuple[Any, ...]) -> FolderRow:
    return FolderRow(*row)


def add(
    tx: Transaction,
    *,
    folder: FolderId,
    account: AccountId,
    digest: bytes,
    sealed_name: bytes,
    role: str | None,
    uid_validity: int,
    modseq: int,
    at: int,
) -> None:
    tx.run(
        _PUT,
        folder_id=folder,
        account_id=account,
        name_digest=digest,
        sealed_name=sealed_name,
        role=role,
        uid_validity=uid_validity,
        uid_next=1,
        modseq=modseq,
        vanished_floor=0,
        recent_uid=1,
        messages=0,
        unseen=0,
        octets=0,
        created_at=at,
    )


def all_of(tx: Transaction, account: AccountId) -> list[FolderRow]:
    return [_row(row) for row in tx.run(_ALL, account=account).fetchall()]


def by_name(tx: Transaction, account: AccountId, digest: bytes) -> FolderRow | None:
    row = tx.run(_BY_NAME, account=account, digest=digest).fetchone()
    return None if row is None else _row(row)


def by_id(tx: Transaction, folder: FolderId) -> FolderRow | None:
    row = tx.run(_BY_ID, folder=folder).fetchone()
    return None if row is None else _row(row)


def rename(tx: Transaction, folder: FolderId, digest: bytes, sealed_name: bytes) -> None:
    tx.run(_RENAME, folder=folder, digest=digest, sealed=sealed_name)


def remove(tx: Transaction, folder: FolderId) -> None:
    """The folder's row and its vanished log; its messages must be gone already."""
    tx.run(_FORGET_VANISHED, folder=folder)
    tx.run(_DELETE, folder=folder)


def count(
    tx: Transaction, folder: FolderId, modseq: int, *, uids: int = 0, messages: int, unseen: int, octets: int
) -> Uid | None:
    """Move a folder's counters by those differences; the first of `uids` new UIDs, None where the folder is gone."""
    row = tx.run(
        _COUNT,
        folder=folder,
        uids=uids,
        more=messages,
        more_unseen=unseen,
        more_octets=octets,
        new_modseq=modseq,
    ).fetchone()
    return None if row is None else Uid(int(row[0]) - uids)


def count_named(
    tx: Transaction,
    account: AccountId,
    digest: bytes,
    modseq: int,
    *,
    messages: int,
    unseen: int,
    octets: int,
) -> tuple[FolderId, int, Uid] | None:
    """Make room for new messages in a folder known by its name: its number, its UIDVALIDITY, the first new UID."""
    row = tx.run(
        _COUNT_NAMED,
        account=account,
        digest=digest,
        uids=messages,
        more=messages,
        more_unseen=unseen,
        more_octets=octets,
        new_modseq=modseq,
    ).fetchone()
    return None if row is None else (FolderId(row[1]), int(row[2]), Uid(row[0] - messages))


def raise_floor(tx: Transaction, folder: FolderId, floor: int) -> None:
    """The log of expunged UIDs tells nothing at or below this mod-sequence any more."""
    tx.run(_RAISE_FLOOR, folder=folder, floor=floor)


def take_recent(tx: Transaction, folder: FolderId) -> None:
    """What arrived so far is recent to no later session."""
    tx.run(_TAKE_RECENT, folder=folder)


def subscribe(tx: Transaction, account: AccountId, digest: bytes, sealed_name: bytes) -> None:
    tx.run(_SUBSCRIBE, account_id=account, name_digest=digest, sealed_name=sealed_name)


def unsubscribe(tx: Transaction, account: AccountId, digest: bytes) -> None:
    tx.run(_UNSUBSCRIBE, account=account, digest=digest)


def subscriptions_of(tx: Transaction, account: AccountId) -> list[bytes]:
    return [row[0] for row in tx.run(_SUBSCRIPTIONS, account=account).fetchall()]


def keywords_of(tx: Transaction, account: AccountId) -> list[tuple[int, bytes]]:
    """Keyword numbers with their sealed names."""
    return [(int(row[0]), row[1]) for row in tx.run(_KEYWORDS, account=account).fetchall()]


def take_keyword(tx: Transaction, account: AccountId) -> int | None:
    """A new keyword number, None where all are taken."""
    row = tx.run(_TAKE_KEYWORD, account=account).fetchone()
    return None if row is None else int(row[0]) - 1


def add_keyword(tx: Transaction, account: AccountId, number: int, sealed_name: bytes) -> None:
    tx.run(_PUT_KEYWORD, account_id=account, number=number, sealed_name=sealed_name)
