"""A whole house on SQLite in a folder, for tests: the real rooms, a clock that moves when told, no server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mssmail.audit.trail import LaneChain, TrailKeys, first_head
from mssmail.base.address import Address
from mssmail.base.clock import Clock, FakeClock
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Mechanism, Principal, Recipient
from mssmail.crypto.keys import KeyRing
from mssmail.crypto.keystore import KeyKind, KeyStore
from mssmail.crypto.kms.local import LocalKeyProvider, create_root
from mssmail.directory.lookup import Directory
from mssmail.directory.trustlist import Trust
from mssmail.flow.boxes import add_folder
from mssmail.flow.changes import Changes
from mssmail.flow.fresh import Fresh
from mssmail.flow.house import BodyNumbers, House
from mssmail.flow.names import Names
from mssmail.identity.credentials import Credentials, Dossier
from mssmail.settings.model import Keys, Server, Settings, Tls
from mssmail.settings.place import place
from mssmail.store import accounts, engine
from mssmail.store import trail as trail_rows
from mssmail.store.bodies import FileBodies
from mssmail.store.interface import Driver, Transaction
from mssmail.store.lanes import ReadLanes, WriteLane

DOMAIN = "demo.mssante.fr"


def settings_for(folder: Path) -> Settings:
    """Settings of a server whose data lie in `folder`."""
    given = Settings(
        server=Server(domains=(DOMAIN,), data=folder, loopback_unlimited=True),
        tls=Tls(folder / "server.pem", folder / "server.key"),
        keys=Keys(provider="file:root.key"),
    )
    return place(given)


class Home:
    """A house with its furniture. `close` it."""

    def __init__(
        self,
        folder: Path,
        clock: Clock | None = None,
        *,
        settings: Settings | None = None,
        connect: Callable[[Callable[[], Driver]], Callable[[], Driver]] = lambda plain: plain,
        slot: int = 0,
        fresh: Fresh | None = None,
    ) -> None:
        self.folder = folder
        self.clock = clock or FakeClock()
        self.settings = settings or settings_for(folder)
        root = folder / "root.key"
        if not root.exists():
            create_root(root)
        self.key_store = KeyStore(engine.make_key_engine(self.settings.keys.store), LocalKeyProvider(root), self.clock)
        self.key_store.open()
        keys = KeyRing(self.key_store, self.clock)
        trail = TrailKeys(keys)
        self.engine = engine.make_engine(self.settings.store.database)
        engine.prepare(self.engine)
        self.plain = engine.connector(self.engine)
        driver = self.plain()
        driver.execute("BEGIN IMMEDIATE")
        self.chain = trail_rows.register(Transaction(driver, self.engine.dialect, self.clock.now()), slot, first_head())
        driver.execute("COMMIT")
        driver.close()
        changes = Changes()
        self.write = WriteLane(
            connect(self.plain),
            self.engine.dialect,
            LaneChain(trail, self.chain, slot),
            self.clock,
            changes.announce,
            folder,
        )
        self.read = ReadLanes(self.plain, self.engine.dialect, self.clock, 2, folder)
        self.write.start()
        self.read.start()
        self.house = House(
            self.settings,
            self.clock,
            self.write,
            self.read,
            keys,
            trail,
            FileBodies(folder / "bodies"),
            BodyNumbers(self.chain),
            Directory(folder / "directory" / "directory.db", self.clock),
            Trust(folder / "trust" / "list.xml", self.clock),
            changes,
            slot,
            ThreadPoolExecutor(2),
            ThreadPoolExecutor(2),
            fresh=Fresh() if fresh is None else fresh,
        )

    def close(self) -> None:
        self.write.close()
        self.read.close()
        self.house.crypto_work.shutdown()
        self.house.password_work.shutdown()
        self.house.directory.close()
        self.key_store.close()

    def with_settings(self, settings: Settings) -> House:
        """The same house under other settings."""
        return replace(self.house, settings=settings)

    def tx(self) -> Transaction:
        """A transaction of a test's own, outside the lanes; reads only."""
        return Transaction(self.plain(), self.engine.dialect, self.clock.now())

    def add_account(self, local: str, *, quota_octets: int = 1 << 30) -> Principal:
        """An open account with INBOX and Trash, as rows alone: nobody registered, no password."""
        address = Address(local, DOMAIN)
        keys = self.house.keys

        def number(tx: Transaction) -> int:
            return accounts.next_number(tx, "account")

        account = AccountId(self.write.run_blocking(number))
        self.key_store.create(KeyKind.ACCOUNT, (account,))
        names = Names(keys, account)

        def work(tx: Transaction) -> None:
            accounts.add(
                tx,
                account_id=account,
                kind="PER",
                address_digest=keys.digest("address", address.key.encode()),
                holder_digest=b"h%d" % account,
                subject_digest=b"s%d" % account,
                sealed=Credentials(keys).seal_dossier(account, Dossier(address, BoxKind.PER, f"8{account:011}", local)),
                quota_octets=quota_octets,
                inbox_id=0,
                created_at=int(tx.now),
            )
            inbox = add_folder(tx, names, account, "INBOX", None)
            add_folder(tx, names, account, "Trash", "trash")
            tx.driver.execute("UPDATE accounts SET inbox_id = ? WHERE account_id = ?", [inbox, account])

        self.write.run_blocking(work)
        return Principal(account, account, address, BoxKind.PER, Mechanism.PASSWORD, 0, "127.0.0.1", "imap")


def recipient(principal: Principal) -> Recipient:
    return Recipient(principal.address, principal.account)
