"""What a folder is for, as clients and the store both name it (RFC 6154 §2). Knows nothing of any protocol's syntax."""

from enum import Enum, unique


@unique
class SpecialUse(Enum):
    """The special uses of RFC 6154, by the attribute that names them."""

    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"
