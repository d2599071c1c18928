"""The composition root: the only file that chooses an engine, a key provider, a body store and a clock.

`Assembly` is the house of one process, opened and closed in order. `worker` is a worker's whole life, for `supervise`.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from sqlalchemy.engine import Dialect

from mssmail.audit.trail import LaneChain, TrailKeys, first_head
from mssmail.base.clock import Clock, SystemClock
from mssmail.base.ids import ChainId
from mssmail.base.refusal import Refusal
from mssmail.crypto.keys import KeyRing
from mssmail.crypto.keystore import KeyStore
from mssmail.crypto.kms.interface import KeyProviderError
from mssmail.crypto.kms.local import LocalKeyProvider, create_root
from mssmail.directory.lookup import Directory
from mssmail.directory.trustlist import Trust
from mssmail.flow.absence_answers import LOOK_S as ABSENCES_LOOK_S
from mssmail.flow.absence_answers import AbsenceAnswers
from mssmail.flow.bearer import TokenLogin
from mssmail.flow.bounce import Bounces
from mssmail.flow.changes import Changes
from mssmail.flow.delegation_notices import LOOK_S as DELEGATIONS_LOOK_S
from mssmail.flow.delegation_notices import DelegationNotices
from mssmail.flow.forwarding import LOOK_S as FORWARDS_LOOK_S
from mssmail.flow.forwarding import ForwardNotices
from mssmail.flow.gate import Gate
from mssmail.flow.house import BodyNumbers, House
from mssmail.flow.index import EVERY_S, QUIET_S, Indexer
from mssmail.flow.notices import LOOK_S as NOTICES_LOOK_S
from mssmail.flow.notices import Notices
from mssmail.flow.operators import Operators
from mssmail.flow.patients import Patients
from mssmail.flow.purge import Purge, PurgeStopped
from mssmail.flow.queue_term import LOOK_S as QUEUE_LOOK_S
from mssmail.flow.relay import AGAIN_S as RELAY_AGAIN_S
from mssmail.flow.relay import Relay
from mssmail.flow.reminders import LOOK_S as REMINDERS_LOOK_S
from mssmail.flow.reminders import Reminders
from mssmail.flow.renewal import LOOK_S, Renewal
from mssmail.flow.revocation import LOOK_S as LISTS_LOOK_S
from mssmail.flow.revocation import Revocation
from mssmail.flow.sessions import POLL_S, Sessions
from mssmail.flow.standing import ASK_AGAIN_S, Standing
from mssmail.flow.submit import Rate
from mssmail.flow.trust import white_list_path
from mssmail.flow.trust_schedule import LOOK_S as TRUST_LOOK_S
from mssmail.flow.trust_schedule import TrustSchedule
from mssmail.flow.vouch import ListVouch
from mssmail.flow.watch import Watch
from mssmail.identity.anchors import TrustFileError
from mssmail.identity.certificates import Certificates
from mssmail.metrics import gather
from mssmail.metrics.logs import failure, get_logger
from mssmail.servers.imap.server import ImapServer
from mssmail.servers.metrics import MetricsServer
from mssmail.servers.net.inlet import through_inlets
from mssmail.servers.net.listener import Place, listening
from mssmail.servers.net.post import Post, Ready
from mssmail.servers.net.proxied import ProxiedListener
from mssmail.servers.net.stream import TlsContext
from mssmail.servers.net.tls import HANDSHAKE_TIMEOUT_S, ServerTls, client_context, server_context
from mssmail.servers.smtp.courier.carrier import SmtpCourier
from mssmail.servers.smtp.roles import SUBMITTING
from mssmail.servers.smtp.server import OperatorServer, SubmissionServer
from mssmail.settings.check import check_files
from mssmail.settings.fault import ConfigError, Fault
from mssmail.settings.model import Settings
from mssmail.settings.place import file_of, run_folder
from mssmail.settings.reload import Configuration, Reloaded
from mssmail.store import engine as engines
from mssmail.store import replays
from mssmail.store import trail as trail_rows
from mssmail.store.bodies import Bodies, FileBodies
from mssmail.store.interface import Driver, Transaction
from mssmail.store.lanes import ReadLanes, WriteLane

if TYPE_CHECKING:
    from mssmail.servers.web.server import WebServer

ADMINISTRATION = -1
"""The slot of a process that isn't a worker: a command."""
READERS = 2
SNAPSHOT = "directory.db"
METRICS_EVERY_S = 5.0
CLOSE_GRACE_S = 3.0
LONGEST_NAP_S = 5.0

_log = get_logger("app")


class Unusable(Exception):
    """The settings name something that isn't there or can't be used; the text says what to do."""


def directory_path(settings: Settings) -> Path:
    """The snapshot in service."""
    return settings.directory.folder / SNAPSHOT


def make_root_key(settings: Settings) -> Path:
    """Make the root key file that `keys.provider` names. Raises FileExistsError, Unusable."""
    path = file_of(settings.keys.provider)
    if path is None:
        raise Unusable(f"keys.provider: {settings.keys.provider.split(':')[0]} isn't spoken yet; give file:///PATH")
    create_root(path)
    return path


def _bodies(settings: Settings) -> Bodies:
    folder = file_of(settings.store.bodies)
    if folder is None:
        raise Unusable(f"store.bodies: {settings.store.bodies.split(':')[0]} isn't spoken yet; give file:///PATH")
    return FileBodies(folder)


def _provider(settings: Settings) -> LocalKeyProvider:
    path = file_of(settings.keys.provider)
    if path is None:
        raise Unusable(f"keys.provider: {settings.keys.provider.split(':')[0]} isn't spoken yet; give file:///PATH")
    return LocalKeyProvider(path)


class Assembly:
    """The house of one process. Open it, use `house`, close it."""

    def __init__(self, settings: Settings, slot: int = ADMINISTRATION, clock: Clock | None = None) -> None:
        """Open everything. Raises Unusable, Refusal."""
        self.clock = clock or SystemClock()
        self.settings = settings
        self._stack = contextlib.ExitStack()
        try:
            self.house = self._open(slot)
        except (KeyProviderError, engines.UnsupportedDatabase) as error:
            self._stack.close()
            raise Unusable(str(error)) from None
        except BaseException:
            self._stack.close()
            raise

    def _open(self, slot: int) -> House:
        settings, clock = self.settings, self.clock
        settings.server.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        provider = _provider(settings)
        key_store = KeyStore(engines.make_key_engine(settings.keys.store), provider, clock)
        key_store.open()
        self._stack.callback(key_store.close)
        keys = KeyRing(key_store, clock)
        trail = TrailKeys(keys)
        engine = engines.make_engine(settings.store.database)
        engines.prepare(engine)
        connect = engines.connector(engine)
        chain = None if slot == ADMINISTRATION else self._register(connect, engine.dialect, slot)
        self._chain = LaneChain(trail, chain, slot)
        changes = Changes()
        data = settings.server.data
        write = WriteLane(connect, engine.dialect, self._chain, clock, changes.announce, data)
        read = ReadLanes(connect, engine.dialect, clock, READERS, data)
        directory = Directory(directory_path(settings), clock)
        crypto_work = ThreadPoolExecutor(2, "mssmail-crypto")
        cores = os.cpu_count() or 2
        # one core is left to the loop: under a flood of guesses, others' sign-ins waited for two hashes on two cores
        password_work = ThreadPoolExecutor(max(1, min(4, cores - 1)), "mssmail-password", initializer=_stand_back)
        for lane in (write, read):
            lane.start()
        self._stack.callback(directory.close)
        self._stack.callback(read.close)
        self._stack.callback(write.close)
        self._stack.callback(crypto_work.shutdown)
        self._stack.callback(lambda: password_work.shutdown(cancel_futures=True))
        return House(
            settings,
            clock,
            write,
            read,
            keys,
            trail,
            _bodies(settings),
            BodyNumbers(chain or 0),
            directory,
            Trust(white_list_path(settings), clock),
            changes,
            slot,
            crypto_work,
            password_work,
            max(1, min(2, cores - 1)),
        )

    def _register(self, connect: Callable[[], Driver], dialect: Dialect, slot: int) -> ChainId:
        """A chain for this life, before any lane runs."""
        driver = connect()
        try:
            driver.execute("BEGIN IMMEDIATE")
            chain = trail_rows.register(Transaction(driver, dialect, self.clock.now()), slot, first_head())
            driver.execute("COMMIT")
        finally:
            driver.close()
        return chain

    def certificates(self) -> Certificates:
        """Who judges client certificates. Raises Unusable."""
        try:
            return Certificates(self.settings.trust, self.clock)
        except TrustFileError as error:
            raise Unusable(f"trust: {error}") from None

    def tie(self) -> None:
        """Sign what this process wrote to the trail, unless a server is there to do it."""
        if self._chain.chain_id is not None:
            with contextlib.suppress(Refusal):
                Watch(self.house).tie_blocking()

    def close(self) -> None:
        """Finish what waits in the lanes, then let go of everything."""
        self._stack.close()


@contextlib.contextmanager
def assembled(settings: Settings, clock: Clock | None = None) -> Iterator[Assembly]:
    """An assembly for a command."""
    assembly = Assembly(settings, clock=clock)
    try:
        yield assembly
    finally:
        try:
            assembly.tie()
        finally:
            assembly.close()


def wanted_places(settings: Settings) -> list[Place]:
    """The listeners that the settings ask for."""
    listen = settings.listen
    named = [
        ("smtp", listen.host, listen.smtp),
        ("submission", listen.host, listen.submission),
        ("submissions", listen.host, listen.submissions),
        ("imap", listen.host, listen.imap),
        ("imaps", listen.host, listen.imaps),
        ("https", listen.host, listen.https),
        ("metrics", listen.metrics_host, listen.metrics),
    ]
    return [Place(name, host, port) for name, host, port in named if port is not None]


def run_loop(main: Coroutine[None, None, None]) -> None:
    """Run a worker on uvloop: 25 KB an idle TLS connection, where the standard loop takes 280."""
    _tune_malloc()
    uvloop.run(main)


def _stand_back() -> None:
    """Let a thread run only while no other of ours wants the core (sched(7), SCHED_IDLE): all go before Argon2.

    A niceness isn't enough: lanes are batch threads, which take no other's place, and waited for a hash's whole turn.
    Under a flood of guesses the median of a sign-in was 8.5 ms so, and is 5.3.
    """
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _tune_malloc() -> None:
    """Have glibc take by mmap what is large, whatever was freed before, and keep some freed megabytes (mallopt(3)).

    Each TLS connection has a buffer of 256 KiB of uvloop, of which little is ever touched; of the heap it would cost
    25 KB (M_MMAP_THRESHOLD, −3). A brk to and fro a message costs 10 µs (M_TRIM_THRESHOLD, −1).
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc: only slower
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 256 << 10)
        libc.mallopt(-1, 8 << 20)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """What SIGHUP had read anew, sound as a whole."""

    reloaded: Reloaded
    tls: TlsContext
    outgoing: TlsContext
    certificates: Certificates


def _read_again(configuration: Configuration, clock: Clock) -> _Fresh | None:
    """Read the configuration and the certificates, anchors and lists that it names.

    None where anything in it can't be used: each fault is logged, and nothing changes.
    """
    try:
        reloaded = configuration.reread()
        settings = reloaded.settings
        faults = check_files(settings)
        if not faults:
            certificates = Certificates(settings.trust, clock)
            return _Fresh(reloaded, server_context(settings), client_context(settings), certificates)
    except ConfigError as error:
        faults = error.faults
    except (TrustFileError, OSError, ValueError) as error:
        what = error if isinstance(error, TrustFileError) else f"tls.certificate, tls.key: {error.args[-1]}"
        faults = (Fault("reload", "", None, str(what)),)
    for fault in faults:
        _log.error("configuration kept", fault=str(fault))
    return None


def take_settings(configuration: Configuration) -> None:
    """Take the configuration anew where it is sound: in the process that forks workers, whose own part is to log."""
    fresh = _read_again(configuration, SystemClock())
    if fresh is not None:
        configuration.settings = fresh.reloaded.settings


WorkerLife = Callable[[Post, Ready, asyncio.Event, asyncio.Event], Coroutine[None, None, None]]


def _trim_malloc() -> None:
    """Give back what starting took and no longer needs: a demo's extracts and password hashes, tens of megabytes."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def worker_of(configuration: Configuration) -> WorkerLife:
    """The worker that `supervise` runs in each process."""

    async def worker(post: Post, ready: Ready, stop: asyncio.Event, reload: asyncio.Event) -> None:
        assembly = Assembly(configuration.settings, post.slot)
        try:
            await _Worker(assembly, post, configuration).live(ready, stop, reload)
        finally:
            assembly.close()

    return worker


def _web_server(house: House, login: TokenLogin, standing: Standing, port: int) -> "WebServer":
    """Imported only where it listens: its libraries take some megabytes."""
    from mssmail.servers.web.app import METADATA
    from mssmail.servers.web.server import WebServer

    web = WebServer(house, login, standing, port=port)
    login.own_metadata = web.site.address + METADATA
    return web


class _Worker:
    """One worker: its listeners and its standing tasks."""

    def __init__(self, assembly: Assembly, post: Post, configuration: Configuration) -> None:
        house = assembly.house
        self._house = house
        self._post = post
        self._configuration = configuration
        self._certificates = assembly.certificates()
        self._standing = standing = Standing(house, self._certificates)
        self._sessions = Sessions(house, standing)
        self._login = login = TokenLogin(house, standing)
        patients = Patients(house)
        gate = Gate(house, standing, patients)
        self._watch = Watch(house)
        self._purge = Purge(house, announce=False)
        self._indexer = Indexer(house, quiet_s=QUIET_S)
        self._renewal = Renewal(house, standing)
        self._notices = Notices(house, standing.credentials)
        self._delegation_notices = DelegationNotices(house, standing.credentials)
        self._forward_notices = ForwardNotices(house, standing.credentials)
        self._absence_answers = AbsenceAnswers(house, standing.credentials, gate)
        self._reminders = Reminders(house, standing.credentials)
        self._revocation = Revocation(house, self._certificates)
        self._trust = TrustSchedule(house)
        self._tls = ServerTls(house.settings)
        rate = Rate(house)
        self._smtp = [
            SubmissionServer(house, login, gate, self._sessions, role, tls=self._tls.context, rate=rate)
            for role in SUBMITTING
        ]
        self._operators = OperatorServer(house, Operators(house, standing, patients), gate, tls=self._tls.context)
        self._courier = SmtpCourier(house.settings, ListVouch(house, standing))
        self._relay = Relay(house, self._courier, Bounces(house), gate.has_left)
        self._imap = ImapServer(house, login, standing, self._sessions, tls=self._tls.context)
        https = post.places.get("https")
        self._web = None if https is None else _web_server(house, login, standing, https.port)
        self._listeners: list[asyncio.Server | ProxiedListener] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def live(self, ready: Ready, stop: asyncio.Event, reload: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        house, post = self._house, self._post
        house.changes.attach(loop, post.broadcast)
        post.listen(loop, house.changes.receive)
        slot, last = post.slot, post.slot == post.workers - 1
        await house.write.run(lambda tx: replays.arm_slot(tx, slot, and_above=last))
        await self._sessions.start()
        await self._watch.started()
        await self._relay.begin(last=last)
        self._begin("sessions", POLL_S, self._sessions.look)
        self._begin("checkpoint", lambda: float(house.settings.audit.checkpoint_interval), self._watch.tie)
        self._begin("purge", lambda: float(house.settings.retention.interval), self._purge_once)
        self._begin("ocsp", ASK_AGAIN_S, lambda: self._standing.ask_again(self._sessions.certificates()))
        self._begin("directory", LOOK_S, self._renewal.look)
        self._begin("revocation", LISTS_LOOK_S, self._revocation.look)
        self._begin("white list", TRUST_LOOK_S, self._trust.look)
        self._begin("search", EVERY_S, self._indexer.run)
        self._begin("notices", NOTICES_LOOK_S, self._notices.look)
        self._begin("delegation notices", DELEGATIONS_LOOK_S, self._delegation_notices.look)
        self._begin("relay", RELAY_AGAIN_S, self._relay.run)
        self._begin("forward notices", FORWARDS_LOOK_S, self._forward_notices.look)
        self._begin("absences", ABSENCES_LOOK_S, self._absence_answers.look)
        self._begin("reminders", REMINDERS_LOOK_S, self._reminders.look)
        self._begin("queue terms", QUEUE_LOOK_S, self._relay.terms.look)
        self._begin("trail term", 3600.0, self._watch.cut)
        await self._listen()
        if post.workers > 1 and post.slot:
            self._begin("metrics", METRICS_EVERY_S, self._publish)
        self._begin("reload", 0.0, lambda: self._reload(reload))
        gc.collect()
        gc.freeze()
        _trim_malloc()
        ready()
        try:
            await stop.wait()
        finally:
            await self._end()

    async def _listen(self) -> None:
        loop, house = asyncio.get_running_loop(), self._house
        metrics = MetricsServer(lambda: gather.render_all(run_folder(self._house.settings)))
        starts: dict[str, tuple[Callable[[], asyncio.Protocol], bool]] = {
            "smtp": (self._operators.factory, False),
            "submission": (self._smtp[0].factory, False),
            "submissions": (self._smtp[1].factory, True),
            "imap": (self._imap.starttls, False),
            "imaps": (self._imap.implicit, True),
            "metrics": (metrics.factory, False),
        }
        if self._web is not None:
            starts["https"] = (self._web.factory, True)
        for name, place in self._post.places.items():
            if name == "metrics" and self._post.slot:
                continue
            made, implicit = starts[name]
            factory = through_inlets(made)
            if name in house.settings.proxy.listeners:
                context = self._tls.context if implicit else None
                self._listeners.append(
                    ProxiedListener(listening(place), factory, house.settings.proxy.networks, context)
                )
                continue
            self._listeners.append(
                await loop.create_server(
                    factory,
                    sock=listening(place),
                    ssl=self._tls.context if implicit else None,
                    ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if implicit else None,
                )
            )

    async def _reload(self, ordered: asyncio.Event) -> None:
        """Wait for an order, then read everything again and put it in force; sessions stay open."""
        await ordered.wait()
        ordered.clear()
        house, configuration = self._house, self._configuration
        work = asyncio.get_running_loop().run_in_executor
        fresh = await work(house.crypto_work, _read_again, configuration, house.clock)
        if fresh is None:
            return
        reloaded = fresh.reloaded
        configuration.settings = reloaded.settings
        house.renew(reloaded.settings)
        self._tls.renew(fresh.tls)
        self._courier.renew(reloaded.settings, fresh.outgoing)
        self._certificates.renew(fresh.certificates)
        self._login.renew()
        _log.info("configuration reloaded", changed=", ".join(reloaded.changed))
        if reloaded.waiting:
            _log.warning("settings need a restart", settings=", ".join(reloaded.waiting))
        await self._watch.reloaded(reloaded.changed)
        self._sessions.look_again()

    def _begin(self, name: str, every_s: float | Callable[[], float], act: Callable[[], Awaitable[object]]) -> None:
        """Start a standing task: act, pause, again; a failure is logged and tried again at the next turn.

        A pause that is a setting is asked for again every few seconds: it may have changed.
        """
        loop = asyncio.get_running_loop()

        async def turn() -> None:
            while True:
                try:
                    await act()
                except Refusal as refusal:
                    _log.warning("standing task put off", task=name, reason=refusal.reason.value)
                except Exception as error:  # noqa: BLE001 - one failure must not end a standing task
                    failure(_log, "standing task failed", error, task=name)
                began = loop.time()
                while (left := began + (every_s() if callable(every_s) else every_s) - loop.time()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(min(left, LONGEST_NAP_S))

        self._tasks.append(asyncio.create_task(turn(), name=f"mssmail {name}"))

    async def _purge_once(self) -> None:
        try:
            await self._purge.run()
            await self._purge.sweep()
        except PurgeStopped:
            pass  # logged, counted and traced where it was stopped

    async def _publish(self) -> None:
        gather.publish(run_folder(self._house.settings), f"worker-{self._post.slot}")

    async def _end(self) -> None:
        """Take nothing new, let what is being taken end, tie the trail."""
        self._renewal.close()
        self._login.close()
        self._revocation.close()
        self._trust.close()
        self._standing.close()
        for listener in self._listeners:
            listener.close()
        closings = [server.close(CLOSE_GRACE_S) for server in (*self._smtp, self._operators)]
        if self._web is not None:
            closings.append(self._web.close(CLOSE_GRACE_S))
        await asyncio.gather(*closings, self._imap.close(CLOSE_GRACE_S), self._relay.close())
        await self._courier.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._watch.stopped()
        except Refusal as refusal:
            _log.warning("the trail isn't tied", reason=refusal.reason.value)
