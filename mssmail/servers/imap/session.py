"""One IMAP connection, from greeting to BYE: read, frame, dispatch, tell what is new, answer.

Commands are dealt with one after another, in the order they came; what a client sends ahead waits, bounded. Each
handler (`commands/`) has one shape: state and syntax are checked before it (`wire.imap.table`), it checks, acts in one
transaction, says what is untagged, and returns the tagged reply. A Refusal that it raises is answered from `replies`;
any other exception is ours: logged once, answered `NO [SERVERBUG]`.

Must never know how a message is stored or who may sign in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache

from mssmail.base.principal import Door, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.search import SequenceSet
from mssmail.flow.append import Targets
from mssmail.flow.bearer import TokenLogin
from mssmail.flow.boxes import Boxes
from mssmail.flow.delegations import Delegations
from mssmail.flow.house import House
from mssmail.flow.sessions import Session as Entry
from mssmail.flow.sessions import Sessions
from mssmail.flow.shared import PREFIX, Shared
from mssmail.flow.view import View
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import counter
from mssmail.servers.imap import replies
from mssmail.servers.imap.replies import Reply
from mssmail.servers.imap.selected import Selected
from mssmail.servers.net.peer import is_loopback
from mssmail.servers.net.stream import Closed, Injected, Stream, TimedOut, TlsContext
from mssmail.wire.imap import commands, encode, responses, table
from mssmail.wire.imap.commands import Command
from mssmail.wire.imap.fault import ProtocolError
from mssmail.wire.imap.frame import (
    BEFORE_LOGIN,
    Broken,
    Complete,
    Frame,
    Line,
    LiteralData,
    LiteralStart,
    NeedContinuation,
    Refused,
    after_login,
)
from mssmail.wire.imap.framer import Framer
from mssmail.wire.imap.machine import Machine, State
from mssmail.wire.imap.responses import CapabilityCode, Condition, HighestModSeq, Response, Status
from mssmail.wire.imap.table import Rejected, Request
from mssmail.wire.imap.values import Numbering
from mssmail.wire.sasl import registry

STALL_S = 300.0
"""Silence amid a command, and time in which the peer takes nothing of what it is sent. A mobile link's gaps fit in."""
FLUSH_OCTETS = 65_536
"""Replies gathered before they are handed to the connection."""
BYE_S = 0.8
"""How long a BYE may take to leave: a session must be gone a second after its right has ended."""
MAX_FAILURES = 3
"""Failed sign-ins on one connection."""
MAX_FAULTS = 20
"""Broken or unknown commands before sign-in: whoever says that much isn't a mail client."""

_commands = counter("mssmail_imap_commands_total", "IMAP commands by outcome.", labels=("command", "outcome"))
_broken = counter("mssmail_imap_broken_total", "IMAP connections ended for what the peer sent.", labels=("reason",))
_counted = cache(_commands.labels)
"""`labels` takes 5 µs, each time: the set is closed."""
_log = get_logger("servers.imap")

Handler = Callable[["Session", Request], Awaitable[Status | None]]
"""Carries a command out and returns its tagged reply; None where it has been given."""
Incoming = Complete | LiteralStart | LiteralData | Line | Refused
"""What of framing's events a session's code meets."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every session of a server is given."""

    house: House
    login: TokenLogin
    boxes: Boxes
    shared: Shared
    delegations: Delegations
    sessions: Sessions
    tls: TlsContext
    handlers: Mapping[type[Command], Handler]


class _Ended(Exception):
    """Say this BYE and close."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class Session:
    """One connection's state. `live` is its whole life; `end` and `finish` may be called at any time on the loop."""

    __slots__ = (
        "_bye",
        "_deadline",
        "_door",
        "_entry",
        "_failures",
        "_faults",
        "_finishing",
        "_held",
        "_other",
        "_out",
        "_waiting",
        "follows_modseqs",
        "framer",
        "loop",
        "machine",
        "mid_literal",
        "principal",
        "selected",
        "service",
        "stream",
        "targets",
    )

    def __init__(self, service: Service, stream: Stream, *, tls: bool) -> None:
        self.service = service
        self.stream = stream
        self.machine = Machine(tls=tls)
        self.framer = Framer(BEFORE_LOGIN)
        self.principal: Principal | None = None
        self.selected: Selected | None = None
        self.targets: Targets | None = None
        """Where APPEND has put messages; None until it did."""
        self.follows_modseqs = False
        """Whether the client has asked to be told mod-sequences, by any of RFC 7162 §3.1's ways."""
        self.mid_literal = False
        """Part of a literal is on the wire: nothing else can be said, not even BYE."""
        self.loop = asyncio.get_running_loop()
        self._deadline = self.loop.time() + service.house.settings.imap.login_timeout
        self._door: Door | None = None
        self._entry: Entry | None = None
        self._other: Entry | None = None
        """Of another's box whose folder is selected."""
        self._failures = 0
        self._faults = 0
        self._out: list[bytes] = []
        self._held = 0
        self._bye: Reply | None = None
        self._finishing = False
        self._waiting = False
        """Between commands, or in IDLE: nothing is lost by ending now."""

    # --- what handlers use ---

    @property
    def house(self) -> House:
        return self.service.house

    @property
    def who(self) -> Principal:
        """Who signed in; only for commands that need it."""
        assert self.principal is not None
        return self.principal

    @property
    def folder(self) -> Selected:
        """The selected folder; only for commands that need one."""
        assert self.selected is not None
        return self.selected

    @property
    def door(self) -> Door:
        """Asked for over TLS alone, until somebody has signed in."""
        if self._door is None:
            self._door = Door("imap", self.stream.client, self.stream.certificate)
        return self._door

    @property
    def there(self) -> frozenset[registry.Need]:
        """What mechanisms may need, for this client and now."""
        login = self.service.login
        return registry.met(certificate=login.certificate_acceptable(self.door), tokens=login.tokens_acceptable)

    @property
    def capabilities(self) -> tuple[str, ...]:
        mechanisms: tuple[str, ...] = ()
        if self.machine.tls and self.principal is None:
            mechanisms = registry.offered(self.there)
        return table.capabilities(self.machine.stage, mechanisms, self.house.settings.smtp.max_message_size)

    def say(self, response: Response) -> None:
        self.put(encode.encode(response))

    def put(self, octets: bytes) -> None:
        """Whole responses, to be sent; `push` where there may be many."""
        self._out.append(octets)
        self._held += len(octets)

    async def push(self, octets: bytes) -> None:
        """Send whole responses, at the peer's pace."""
        self.put(octets)
        if self._held >= FLUSH_OCTETS:
            await self.flush()

    async def flush(self) -> None:
        """Hand over what is gathered, and wait while the peer has much to take. Raises Closed, TimedOut."""
        if self._out:
            self.stream.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()
            self._held = 0
        await self.stream.drain(STALL_S)

    async def event(self) -> Incoming:
        """The next thing that the peer sends. Raises Closed, TimedOut, and what ends the session."""
        while (event := self.event_now()) is None:
            await self.flush()
            if self.framer.midway and not self.stream.readable:
                self.stream.acknowledge()
            self.framer.feed(await self.stream.read(self._patience_s()))
        return event

    def event_now(self) -> Incoming | None:
        """The next of what has come already, None where it takes more. Raises what ends the session."""
        while True:
            event = self.framer.next()
            match event:
                case NeedContinuation():
                    self.say(responses.Continue("Prêt / Ready"))
                case Broken(error):
                    _broken.labels(reason=error.fault.value).inc()
                    raise _Ended(_said_of(error))
                case _:
                    return event

    async def turn_away(self, reply: Status) -> Status:
        """Refuse the APPEND whose message is coming, and return `reply` once the peer has sent all of it."""
        self.framer.refuse()
        while not isinstance(await self.event(), Refused):
            pass
        return reply

    async def tell(self, *, expunges: bool, look: bool = False) -> None:
        """Say what is new in the selected folder, if any; `look` where it isn't known to have changed."""
        selected = self.selected
        if selected is None:
            return
        try:
            if look or selected.view.is_due:
                await selected.view.refresh()
        except Refusal:
            selected.view.stale = True  # the store can't answer now, and what it was asked for may have been done
        for octets in selected.news(expunges=expunges):
            await self.push(octets)

    def wait_for_peer(self, *, waiting: bool) -> None:
        """IDLE says when it merely waits, so that a stop of the server ends it at once."""
        self._waiting = waiting
        if waiting and self._finishing:
            raise _Ended(replies.SHUTTING_DOWN)

    async def find(self, mailbox: str) -> tuple[Principal, str]:
        """Who acts in whose box, and the folder there; empty for another's box itself (RFC 2342 §5).

        Raises Refusal(FOLDER_MISSING, UNAVAILABLE).
        """
        if not mailbox.startswith(PREFIX):
            return self.who, mailbox
        return await self.service.shared.find(self.who, mailbox)

    async def folder_in(self, mailbox: str) -> tuple[Principal, str]:
        """The same for what must be a folder."""
        acting, name = await self.find(mailbox)
        if not name and acting is not self.who:
            raise Refusal(Reason.FOLDER_MISSING, "another's box, and no folder of it")
        return acting, name

    def stand_by(self, acting: Principal) -> None:
        """Before another's folder is opened: be ended with the right to it, whenever that ends from now on."""
        if acting is not self.who:
            self._other = self.service.sessions.enter(acting, self.end, counts=False)

    def select(self, view: View, *, read_only: bool) -> None:
        self.selected = Selected(
            self.house, view, self.stream.nudge, read_only=read_only, tells_modseqs=self.follows_modseqs
        )
        self.machine.selected()

    def follow_modseqs(self) -> None:
        """Tell mod-sequences from now on, beginning with the selected folder's (RFC 7162 §3.1)."""
        if self.follows_modseqs:
            return
        self.follows_modseqs = True
        if self.selected is not None:
            self.selected.tells_modseqs = True
            modseq = HighestModSeq(self.selected.view.modseq)
            self.say(Status(Condition.OK, "Dernier changement / Latest change", modseq))

    def unselect(self) -> None:
        """Forget the selected folder, if any."""
        self._leave_other()
        if self.selected is not None:
            self.selected.close()
            self.selected = None
            self.machine.unselected()

    def _leave_other(self) -> None:
        if self._other is not None:
            self._other.leave()
            self._other = None

    def enter(self, principal: Principal, tag: bytes) -> Status:
        """Sign in, if the account has a connection left; the reply."""
        sessions, imap = self.service.sessions, self.house.settings.imap
        capped = not is_uncapped(self.house, principal.client)
        if capped and sessions.count_of(principal.account) >= imap.max_connections_per_account:
            return replies.status(replies.TOO_MANY_CONNECTIONS, tag)
        self.principal, self._door = principal, None
        self._entry = sessions.enter(principal, self.end)
        self.machine.signed_in()
        self.framer.limits = after_login(self.house.settings.smtp.max_message_size)
        return Status(Condition.OK, "Connecté / Signed in", CapabilityCode(self.capabilities), tag)

    def fail(self) -> None:
        """Count a failed sign-in."""
        self._failures += 1

    # --- being ended ---

    def end(self, reason: Reason) -> None:
        """The right to be here has ended: say BYE and close, whatever is going on."""
        self.dismiss(replies.REPLIES[reason])

    def dismiss(self, reply: Reply) -> None:
        if self._bye is None and self.stream.task is not None:
            self._bye = reply
            self.stream.task.cancel()

    def finish(self) -> None:
        """The server stops: end now where nothing is going on, else after the command."""
        self._finishing = True
        if self._waiting:
            self.dismiss(replies.SHUTTING_DOWN)

    # --- its life ---

    async def live(self) -> None:
        """Serve until either side ends it. Raises nothing."""
        bye: Reply | None = None
        try:
            self._greet()
            await self._serve()
        except _Ended as ended:
            bye = ended.reply
        except TimedOut:
            bye = replies.LOGIN_TOO_LATE if self.principal is None else replies.IDLE_TOO_LONG
        except Closed:
            pass
        except Injected:
            _broken.labels(reason="injected").inc()
            self.stream.abort()
        except asyncio.CancelledError:
            bye = self._bye
        except Exception as error:  # noqa: BLE001 - a bug must end this connection alone
            failure(_log, "session failed", error)
            self.mid_literal = True
        finally:
            self._leave(bye)

    def _leave(self, bye: Reply | None) -> None:
        if self.selected is not None:
            self.selected.close()
            self.selected = None
        self._leave_other()
        if self._entry is not None:
            self._entry.leave()
            self._entry = None
        if self.mid_literal:
            self.stream.abort()
        elif not self.stream.is_over:
            if bye is not None:
                self.say(replies.bye(bye))
            if self._out:
                self.stream.write(b"".join(self._out))
            self.stream.close(BYE_S)

    def _greet(self) -> None:
        name = self.house.settings.server.name
        self.say(Status(Condition.OK, f"{name} mssmail", CapabilityCode(self.capabilities)))

    def _patience_s(self) -> float:
        if self.principal is None:
            return max(0.0, self._deadline - self.loop.time())
        return STALL_S if self.framer.midway else float(self.house.settings.imap.idle_timeout)

    async def _serve(self) -> None:
        while self.machine.state is not State.LOGOUT:
            self.wait_for_peer(waiting=True)
            event = await self.event()
            self._waiting = False
            match event:
                case Complete(frame):
                    await self._read(frame)
                case LiteralStart(frame):
                    await self._read_append(frame)
                case Refused(tag, error):
                    assert error is not None
                    self._reject(Rejected(tag, error))
                case LiteralData() | Line():
                    raise AssertionError("only for a handler that asked for it")

    async def _read(self, frame: Frame) -> None:
        read = table.read(frame, self.machine)
        if isinstance(read, Rejected):
            self._reject(read)
        else:
            await self._command(read)

    async def _read_append(self, frame: Frame) -> None:
        read = table.read(frame, self.machine)
        if isinstance(read, Rejected):
            self._count(read.name, "bad")
            self.say(await self.turn_away(responses.refusal(read.error, read.tag)))
        else:
            await self._command(read)

    def _reject(self, rejected: Rejected) -> None:
        self._count(rejected.name, "bad")
        self.say(responses.refusal(rejected.error, rejected.tag))
        self._faults += 1
        if self.principal is None and self._faults >= MAX_FAULTS:
            raise _Ended(replies.TOO_MANY_FAILURES)

    async def _command(self, request: Request) -> None:
        reply = await self._carry_out(request)
        await self.tell(expunges=not _counts_by_number(request.command), look=isinstance(request.command, _LOOKING))
        if reply is not None:
            self.say(reply)
        self._count(request.row.name, "ok" if reply is None else reply.condition.value.lower())
        if self._failures >= MAX_FAILURES and self.principal is None:
            raise _Ended(replies.TOO_MANY_FAILURES)

    async def _carry_out(self, request: Request) -> Status | None:
        try:
            return await self.service.handlers[type(request.command)](self, request)
        except Refusal as refusal:
            if self.mid_literal:
                raise Closed from refusal
            return replies.of(refusal.reason, request.tag)
        except (Closed, TimedOut, Injected, _Ended):
            raise
        except Exception as error:
            incident = failure(_log, "command failed", error, command=request.row.name.decode())
            if self.mid_literal:
                raise Closed from error
            return replies.bug(request.tag, incident)

    def _count(self, row: bytes | None, outcome: str) -> None:
        """Count a command under its row's name: a closed set, unlike what a client may call it."""
        _counted(command="unknown" if row is None else row.decode(), outcome=outcome).inc()


_LOOKING = (commands.Noop, commands.Check, commands.Append, commands.Copy)
"""After these the client expects to hear what is new: its own copies too."""


def _counts_by_number(command: Command) -> bool:
    """Whether message numbers must not move under this command (RFC 3501 §7.4.1)."""
    match command:
        case commands.Fetch(messages) | commands.Store(messages):
            return isinstance(messages, SequenceSet)
        case commands.Search(numbering=numbering):
            return numbering is Numbering.SEQUENCE
        case _:
            return False


def _said_of(error: ProtocolError) -> Reply:
    _, code, sentence = responses.FAULT_REPLIES[error.fault]
    french, _, english = sentence.partition(" / ")
    return Reply(Condition.BYE, code, french, english)


def is_uncapped(house: House, client: str) -> bool:
    """Whether this address may have any number of connections (`server.loopback_unlimited`)."""
    return house.settings.server.loopback_unlimited and is_loopback(client)
