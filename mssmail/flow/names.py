"""Folder and keyword names: what is allowed, how they are sealed and found. Names are Unicode, levels end with `/`."""

import unicodedata

from mssmail.base.ids import AccountId, FolderId
from mssmail.base.refusal import Reason, Refusal
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing
from mssmail.store import folders
from mssmail.store.folders import FolderRow
from mssmail.store.interface import Transaction

DELIMITER = "/"
INBOX = "INBOX"
OTHERS = "Other Users"
"""What others' boxes stand under (RFC 2342 §5); nobody's own folder is named so, or lies below."""
MAX_NAME_OCTETS = 1000
MAX_LEVELS = 20
MAX_FOLDERS = 2000
"""Of an account; several times what the fullest boxes seen have."""
MAX_KEYWORD_OCTETS = 250


def canonical(name: str) -> str:
    """A folder's name as it is kept: NFC, INBOX in capitals, no delimiter at the end.

    Raises Refusal(FOLDER_NAME).
    """
    name = unicodedata.normalize("NFC", name).removesuffix(DELIMITER)
    if name.upper() == INBOX:
        return INBOX
    first, _, rest = name.partition(DELIMITER)
    if rest and first.upper() == INBOX:
        name = INBOX + DELIMITER + rest
    levels = name.split(DELIMITER)
    if not all(levels) or len(levels) > MAX_LEVELS or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_OCTETS:
        raise Refusal(Reason.FOLDER_NAME, "empty level, too deep or too long")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise Refusal(Reason.FOLDER_NAME, "control character")
    return name


def makeable(name: str) -> str:
    """The canonical name of a folder that may be made. Raises Refusal(FOLDER_NAME)."""
    wanted = canonical(name)
    if wanted == OTHERS or wanted.startswith(OTHERS + DELIMITER):
        raise Refusal(Reason.FOLDER_NAME, "kept for others' boxes")
    return wanted


def superiors(name: str) -> list[str]:
    """`a/b/c` has `a` and `a/b`."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:k]) for k in range(1, len(levels))]


class Names:
    """Names of one account, sealed and opened."""

    __slots__ = ("_account", "_keys")

    def __init__(self, keys: KeyRing, account: AccountId) -> None:
        self._keys = keys
        self._account = account

    def digest(self, name: str) -> bytes:
        return self._keys.name_digest(self._account, "folder", name)

    def seal(self, folder: FolderId, name: str) -> bytes:
        return self._keys.seal_name(self._account, name, name_aad(b"folder", self._account, folder))

    def open(self, row: FolderRow) -> str:
        return self._keys.open_name(self._account, row.sealed_name, name_aad(b"folder", self._account, row.folder_id))

    def seal_subscription(self, name: str) -> bytes:
        return self._keys.seal_name(self._account, name, name_aad(b"subscr", self._account, 0))

    def open_subscription(self, sealed: bytes) -> str:
        return self._keys.open_name(self._account, sealed, name_aad(b"subscr", self._account, 0))

    def seal_keyword(self, number: int, name: str) -> bytes:
        return self._keys.seal_name(self._account, name, name_aad(b"keyword", self._account, number))

    def open_keyword(self, number: int, sealed: bytes) -> str:
        return self._keys.open_name(self._account, sealed, name_aad(b"keyword", self._account, number))

    def find(self, tx: Transaction, name: str) -> FolderRow:
        """The folder of that canonical name. Raises Refusal(FOLDER_MISSING)."""
        row = folders.by_name(tx, self._account, self.digest(name))
        if row is None:
            raise Refusal(Reason.FOLDER_MISSING)
        return row

    def keywords(self, tx: Transaction) -> dict[str, int]:
        """The account's keywords and their numbers."""
        return {self.open_keyword(n, sealed): n for n, sealed in folders.keywords_of(tx, self._account)}

    def keyword_bits(self, tx: Transaction, wanted: frozenset[str], *, create: bool) -> int:
        """The bits of these keywords, compared without case; with `create`, new ones get a number.

        Raises Refusal(KEYWORD_LIMIT).
        """
        if not wanted:
            return 0
        known = {name.lower(): number for name, number in self.keywords(tx).items()}
        bits = 0
        for name in sorted(wanted):
            number = known.get(name.lower())
            if number is None:
                if not create:
                    continue
                if len(name.encode()) > MAX_KEYWORD_OCTETS:
                    raise Refusal(Reason.KEYWORD_LIMIT, "too long")
                number = folders.take_keyword(tx, self._account)
                if number is None:
                    raise Refusal(Reason.KEYWORD_LIMIT, f"all {folders.MAX_KEYWORDS} taken")
                folders.add_keyword(tx, self._account, number, self.seal_keyword(number, name))
                known[name.lower()] = number
            bits |= 1 << number
        return bits
