"""What the trail can tell: a closed list of kinds, and an event before it is sealed. FINAL numbers: never reused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, unique

Value = str | int | float | bool | None | list[str] | list[int] | list[list[int]]


@unique
class Kind(IntEnum):
    """Kinds of event; the number is what lies on disk, the name what people read."""

    SERVER_STARTED = 1
    SERVER_STOPPED = 2
    CONFIGURATION_RELOADED = 3

    SIGNED_IN = 10
    SIGN_IN_REFUSED = 11
    SESSION_ENDED = 13
    """By us: suspension, password change, revocation, strike-off."""
    BANNED = 14
    BAN_CLEARED = 15

    SUBMITTED = 20
    SUBMISSION_REFUSED = 21
    RECIPIENT_REFUSED = 22
    DELIVERED = 23
    SUBMISSION_REPEATED = 24
    RECEIVED = 25
    """From another operator."""
    RECEPTION_REFUSED = 26
    """At MAIL or with its message; a refused recipient is a `recipient-refused`."""
    RECEPTION_REPEATED = 27
    REPORTED = 28
    """A sender was told what became of a message: in their box, or by their operator."""

    QUEUED = 150
    """For a recipient at another operator's."""
    RELAYED = 151
    """The other operator took it over."""
    RELAY_DEFERRED = 152
    """An attempt failed; it is tried again."""
    RELAY_FAILED = 153
    """For good, or at the end of the queue's lifetime."""
    RELAY_DELAYED = 154
    """The sender was to be told that it still waits."""
    QUEUE_CHANGED = 155
    """By an administrator: held, released, tried at once, dropped."""
    DOMAIN_PAUSED = 156
    """By an administrator: nothing is given to a domain."""
    DOMAIN_RESUMED = 157

    LISTED = 30
    """Headers, envelopes or structures were shown."""
    READ = 31
    """Content was shown."""
    SEARCHED = 32
    APPENDED = 33
    FLAGGED = 34
    COPIED = 35
    MOVED = 36
    EXPUNGED = 37

    FOLDER_CREATED = 40
    FOLDER_RENAMED = 41
    FOLDER_DELETED = 42
    FOLDER_SUBSCRIBED = 43
    FOLDER_UNSUBSCRIBED = 44

    PERIOD_CLOSED = 50
    ERASED = 51
    PERIOD_KEY_DESTROYED = 52
    PURGE_REFUSED = 53
    RETENTION_SET = 54

    DIRECTORY_LOADED = 60
    DIRECTORY_REFUSED = 61
    STRUCK_OFF = 62
    TRUST_LIST_LOADED = 63
    TRUST_LIST_REFUSED = 64

    ACCOUNT_CREATED = 70
    ACCOUNT_SUSPENDED = 71
    ACCOUNT_RESUMED = 72
    ACCOUNT_CLOSED = 73
    PASSWORD_SET = 74
    CODE_SET = 75
    DELEGATED = 76
    UNDELEGATED = 77
    GRANTS_ENDED = 78
    QUOTA_SET = 79
    LIMITS_SET = 145

    ADMINISTERED = 130
    """An administrator's verb was let through at the admin socket; its act stands for itself."""
    ADMINISTRATION_REFUSED = 131
    ADMINISTRATOR_ADDED = 132
    ADMINISTRATOR_CHANGED = 133
    ADMINISTRATOR_SUSPENDED = 134
    ADMINISTRATOR_RESUMED = 135
    ADMINISTRATOR_REMOVED = 136
    ORDER_GIVEN = 140
    """An act that needs two persons waits for the second."""
    ORDER_APPROVED = 141
    ORDER_REJECTED = 142
    ORDER_EXPIRED = 143

    TRAIL_READ = 80
    TRAIL_EXPORTED = 81
    TRAIL_CUT = 82

    CLIENT_ADDED = 100
    CLIENT_REMOVED = 101
    AUTHORIZED = 102
    """A user let a program in."""
    AUTHORIZATION_DENIED = 103
    """A user said no to a program."""
    TOKENS_ISSUED = 104
    TOKENS_REFUSED = 105
    """A code or refresh token that was known, but no longer any good; `replayed`: its family was revoked."""
    AUTHORIZATION_REVOKED = 106
    SIGNED_OUT = 107
    """A browser, by its user."""
    SIGNED_OUT_EVERYWHERE = 108
    ENROLMENT_OPENED = 109
    ENROLMENT_DONE = 110
    """A holder set password and code, and has new recovery codes."""

    RECOVERY_CODES_SET = 120
    SENDING_HELD = 121
    """An account reached one of its sending limits; one event an hour at most."""
    NEW_PLACE_TOLD = 122
    """A holder was told by mail of a sign-in from a new area."""
    DELEGATION_TOLD = 123
    """A box was told by mail to whom it was opened."""

    ABSENCE_SET = 170
    ABSENCE_CLEARED = 171
    ABSENCE_TOLD = 172
    """Somebody who wrote to a box was answered that its holder is away."""
    FORWARD_SET = 173
    FORWARD_CLEARED = 174
    FORWARDED = 175
    """A message went on to another box."""
    FORWARD_REFUSED = 176
    """A message stayed where it was: the gate doesn't let the other box in now, or it came from there."""
    FORWARD_TOLD = 177
    """A box was told by mail where its mail goes on to."""
    HEADERS_TOLD = 178
    """A sender was told by mail which fields their program leaves out."""

    @property
    def label(self) -> str:
        """`signed-in`: how commands and exports name it."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def named(cls, label: str) -> "Kind | None":
        return cls.__members__.get(label.upper().replace("-", "_"))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: to which account, about which address, with which outcome.

    `details` carries ids, counts, protocols and codes; never a subject, a body, a folder's or keyword's name.
    """

    kind: Kind
    account: int = 0
    """The account acted on; 0 where there is none."""
    subject: str | None = None
    """The address it is about, sealed, and found by a keyed digest."""
    outcome: str = "ok"
    """`ok`, or the reason of a refusal."""
    details: Mapping[str, Value] = field(default_factory=dict)
