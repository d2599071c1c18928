"""What every use-case of a process is given: the rooms' services, composed by `app`."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mssmail.audit.trail import TrailKeys
from mssmail.base.clock import Clock
from mssmail.base.ids import BodyId
from mssmail.crypto.keys import KeyRing
from mssmail.directory.lookup import Directory
from mssmail.directory.trustlist import Trust
from mssmail.flow.bell import Bell
from mssmail.flow.changes import Changes
from mssmail.flow.concerning import NoRegister, Register
from mssmail.flow.fresh import Fresh
from mssmail.flow.shelf import Shelf
from mssmail.settings.model import Settings
from mssmail.store.bodies import Bodies
from mssmail.store.lanes import ReadLanes, WriteLane

_COUNTER_BITS = 36
"""A process may make 68 thousand million bodies; 134 million processes may be started."""


class BodyNumbers:
    """Numbers for bodies, known before any row is written: the process's chain, then a counter. Never reused."""

    __slots__ = ("_lock", "_next")

    def __init__(self, chain: int) -> None:
        self._next = chain << _COUNTER_BITS
        self._lock = threading.Lock()

    def take(self) -> BodyId:
        with self._lock:
            self._next += 1
            return BodyId(self._next)


@dataclass(frozen=True, slots=True)
class House:
    """The rooms at work in one process."""

    settings: Settings
    """In force now: read them where they are needed, and keep nothing of what `settings.reload.LIVE` names."""
    clock: Clock
    write: WriteLane
    read: ReadLanes
    keys: KeyRing
    trail: TrailKeys
    bodies: Bodies
    body_numbers: BodyNumbers
    directory: Directory
    white_list: Trust
    changes: Changes
    slot: int
    """This worker's number, from 0; administration commands have -1."""
    crypto_work: ThreadPoolExecutor
    """Sealing and opening of large things, key store and body files."""
    password_work: ThreadPoolExecutor
    """Argon2id: as many threads as may be given up to it."""
    password_slots: int = 1
    """How many sign-ins may take up Argon2 at once."""
    shelf: Shelf = field(default_factory=Shelf)
    fresh: Fresh = field(default_factory=Fresh)
    register: Register = field(default_factory=NoRegister)
    """Whom exchanges are about, and who objects to any."""
    bell: Bell = field(default_factory=Bell)
    """Rung once something was queued for other operators."""

    def renew(self, settings: Settings) -> None:
        """Put other settings in force, for whoever reads them from here on: all else stays what it is for good."""
        object.__setattr__(self, "settings", settings)
