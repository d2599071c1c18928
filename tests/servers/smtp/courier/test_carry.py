"""Mail carried to hosts that behave: what they are told and get, what is reported, how connections serve again."""

import asyncio
from collections.abc import Iterator

import pytest

from mssmail.base.relay import By, Cause, Notify, RecipientWishes, Wishes
from mssmail.servers.net.tls import client_context
from mssmail.servers.smtp.courier import carrier, transaction, wire
from mssmail.servers.smtp.courier.transaction import CHUNK_OCTETS, SMALL_OCTETS
from mssmail.settings.trust_space import Relay, Route
from mssmail.settings.units import Seconds
from tests.servers.smtp.courier.jetty import LABO, MESSAGE, Jetty, causes, errand, message
from tests.servers.smtp.courier.sink import HANG, OFFERS, Manners

DIALECTS = {
    "one piece": OFFERS,
    "chunks": ("CHUNKING",),
    "pipelined data": ("PIPELINING",),
    "plain": (),
}


async def test_delivered(jetty: Jetty) -> None:
    """A message arrives octet by octet, and the attempt says where and how it was taken."""
    sink = await jetty.sink()
    attempt = await jetty.to(sink).carry(errand(), message)
    assert causes(attempt) == [Cause.DELIVERED]
    (taken,) = sink.messages
    assert taken.octets == MESSAGE
    assert attempt.hop is not None
    assert (attempt.hop.host, attempt.hop.client, attempt.hop.tls) == ("127.0.0.1", "127.0.0.1", "TLSv1.3")
    assert attempt.hop.operator == "CN=LABO"
    assert attempt.hop.cipher.startswith("TLS_")
    assert str(attempt.outcomes[0].answer) == "250 2.0.0 taken as 1"
    assert attempt.outcomes[0].status == "2.0.0"


BODIES = {
    "empty": b"",
    "dot": b".\r\n",
    "dots": b"..\r\n.\r\n.x\r\n\r\n.\r\n",
    "end within": b"a\r\n.\r\nQUIT\r\n",
    "no line end": b"a\r\n.b",
    "CRLF alone": b"\r\n",
    "octets": b"Subject: \xc3\xa9\r\n\r\n\x00\xff\r\n",
    "at the bound": b"x" * 62 + b"\r\n" + b"0123456789abcd\r\n" * ((SMALL_OCTETS - 64) // 16),
    "above the bound": b".\r\n" * (SMALL_OCTETS // 3 + 1),
    "many chunks": b".123456789abcd\r\n" * (5 * CHUNK_OCTETS // 16),
}


@pytest.mark.parametrize("offers", DIALECTS.values(), ids=DIALECTS.keys())
@pytest.mark.parametrize("piece", [1 << 16, 997])
async def test_octets(jetty: Jetty, offers: tuple[str, ...], piece: int) -> None:
    """Whatever its size and wherever its pieces part, a message arrives as it is, on one connection."""
    sink = await jetty.sink(Manners(offers=offers))
    courier = jetty.to(sink)
    for name, octets in BODIES.items():
        attempt = await courier.carry(errand(size=len(octets)), lambda o=octets: message(o, piece))  # type: ignore[misc]
        assert causes(attempt) == [Cause.DELIVERED], name
    sent = [taken.octets for taken in sink.messages]
    # by DATA a message ends in CRLF (RFC 5321 §4.1.1.4)
    ended = [o if "CHUNKING" in offers or o.endswith(b"\r\n") or not o else o + b"\r\n" for o in BODIES.values()]
    assert sent == ended
    assert sink.connections == 1
    assert "RSET" not in sink.commands


@pytest.mark.parametrize("offers", DIALECTS.values(), ids=DIALECTS.keys())
@pytest.mark.parametrize(
    "bad",
    [b"\n", b"\r", b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n", b"\n\r\n", b"\r\n\r"],
    ids=repr,
)
@pytest.mark.parametrize("filler", [0, SMALL_OCTETS + 1], ids=["small", "large"])
async def test_no_smuggling(jetty: Jetty, offers: tuple[str, ...], bad: bytes, filler: int) -> None:
    """A message in which a CR or an LF stands alone is given to nobody, in no dialect and however its pieces part."""
    sink = await jetty.sink(Manners(offers=offers))
    octets = b"Subject: x\r\n\r\n" + b"x\r\n" * (filler // 3) + b"a" + bad + b"MAIL FROM:<evil@labo.mssante.fr>\r\n"
    courier = jetty.to(sink)
    for piece in (1 << 20, len(octets) - 36, 1 if not filler else 4096):
        (outcome,) = (
            await courier.carry(errand(size=len(octets)), lambda p=piece: message(octets, p))  # type: ignore[misc]
        ).outcomes
        assert (outcome.cause, outcome.permanent) == (Cause.MALFORMED, True)
    await courier.close()
    await sink.left()
    assert sink.messages == []
    assert not any("evil" in command for command in sink.commands)


@pytest.mark.parametrize("offers", DIALECTS.values(), ids=DIALECTS.keys())
@pytest.mark.parametrize("off", [-1, 1])
async def test_other_size(jetty: Jetty, offers: tuple[str, ...], off: int) -> None:
    """A message that isn't as long as it was said to be, as one cut short on disk, is given to nobody."""
    sink = await jetty.sink(Manners(offers=offers))
    courier = jetty.to(sink)
    with pytest.raises(ValueError, match="than the errand says"):
        await courier.carry(errand(size=len(MESSAGE) + off), message)
    await courier.close()
    await sink.left()
    assert sink.messages == []


# --- what is asked for, and what is offered ---

ALL = (*OFFERS, "REQUIRETLS", "MT-PRIORITY MIXER", "DELIVERBY 60")
DR, ANNE = "MAIL FROM:<dr.house@hopital.mssante.fr>", f"RCPT TO:<anne@{LABO}>"
SIZE = f" SIZE={len(MESSAGE)}"

ASKED: dict[str, tuple[tuple[str, ...], Wishes, RecipientWishes, str, str]] = {
    "nothing": (ALL, Wishes(), RecipientWishes(), DR + SIZE, ANNE),
    "everything": (
        ALL,
        Wishes("HDRS", "id+2B1", True, True, True, -3, 120, By.NOTIFY, True),
        RecipientWishes(Notify.SUCCESS | Notify.DELAY, "rfc822;Anne+40x"),
        DR + SIZE + " BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=id+2B1 MT-PRIORITY=-3 BY=120;NT",
        ANNE + " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Anne+40x",
    ),
    "utf-8": (
        ALL,
        Wishes(utf8=True),
        RecipientWishes(None, "utf-8;zoé@labo.fr"),
        DR + SIZE + " SMTPUTF8",
        ANNE + " ORCPT=utf-8;zoé@labo.fr",
    ),
    "never": (ALL, Wishes(), RecipientWishes(Notify(0)), DR + SIZE, ANNE + " NOTIFY=NEVER"),
    "by return": (ALL, Wishes(by_s=60, by=By.RETURN), RecipientWishes(), DR + SIZE + " BY=60;R", ANNE),
    "late": (ALL, Wishes(by_s=-5), RecipientWishes(), DR + SIZE + " BY=-5;N", ANNE),
    "left out where it may be": (
        ("PIPELINING",),
        Wishes(ret="FULL", envid="x", priority=2, by_s=50),
        RecipientWishes(Notify.FAILURE, "rfc822;a"),
        DR,
        ANNE,
    ),
}


@pytest.mark.parametrize(("offers", "wishes", "each", "mail", "rcpt"), ASKED.values(), ids=ASKED.keys())
async def test_asked(
    jetty: Jetty, offers: tuple[str, ...], wishes: Wishes, each: RecipientWishes, mail: str, rcpt: str
) -> None:
    """Wishes are passed on where they are offered, and only there; the attempt tells who reports."""
    sink = await jetty.sink(Manners(offers=offers))
    attempt = await jetty.to(sink).carry(errand(wishes=wishes, each=each), message)
    assert causes(attempt) == [Cause.DELIVERED]
    assert (sink.messages[0].mail, sink.messages[0].rcpts) == (mail, [rcpt])
    assert attempt.hop is not None
    assert attempt.hop.dsn is ("DSN" in offers)


async def test_null_sender(jetty: Jetty) -> None:
    """A report leaves with the null sender."""
    sink = await jetty.sink(Manners(offers=()))
    assert causes(await jetty.to(sink).carry(errand(sender=None), message)) == [Cause.DELIVERED]
    assert sink.messages[0].mail == "MAIL FROM:<>"


@pytest.mark.parametrize("offers", [(), ("REQUIRETLS",)], ids=str)
async def test_a_report_is_not_lost_for_its_protection(jetty: Jetty, offers: tuple[str, ...]) -> None:
    """REQUIRETLS without a sender is asked for where it is offered, and keeps nothing back elsewhere (RFC 8689 §5)."""
    sink = await jetty.sink(Manners(offers=offers))
    work = errand(sender=None, wishes=Wishes(require_tls=True))
    assert causes(await jetty.to(sink).carry(work, message)) == [Cause.DELIVERED]
    assert sink.messages[0].mail == " ".join(["MAIL FROM:<>", *offers])


async def test_utf8_addresses(jetty: Jetty) -> None:
    """An address in UTF-8 needs SMTPUTF8, whether the sender thought of it or not."""
    sink = await jetty.sink()
    work = errand(f"zoé@{LABO}")
    assert causes(await jetty.to(sink).carry(work, message)) == [Cause.DELIVERED]
    assert sink.messages[0].mail.endswith("SMTPUTF8")
    assert sink.messages[0].rcpts == [f"RCPT TO:<zoé@{LABO}>"]


LACKING: dict[str, tuple[tuple[str, ...], Wishes, Cause]] = {
    "utf8": (("8BITMIME",), Wishes(utf8=True), Cause.NO_UTF8),
    "8bit": (("SMTPUTF8",), Wishes(eight_bit=True), Cause.NO_EIGHT_BIT),
    "require tls": (OFFERS, Wishes(require_tls=True), Cause.NO_REQUIRE_TLS),
    "size": (("SIZE 20",), Wishes(), Cause.TOO_LARGE),
    "by return": (OFFERS, Wishes(by_s=600, by=By.RETURN), Cause.TOO_LATE),
    "by return, too soon": (("DELIVERBY 700",), Wishes(by_s=600, by=By.RETURN), Cause.TOO_LATE),
    "by return, over": (("DELIVERBY",), Wishes(by_s=0, by=By.RETURN), Cause.TOO_LATE),
}


@pytest.mark.parametrize(("offers", "wishes", "cause"), LACKING.values(), ids=LACKING.keys())
async def test_lacking(jetty: Jetty, offers: tuple[str, ...], wishes: Wishes, cause: Cause) -> None:
    """A host that lacks what the message needs isn't told of it; that is for good, and the connection serves on."""
    sink = await jetty.sink(Manners(offers=offers))
    courier = jetty.to(sink)
    (outcome,) = (await courier.carry(errand(wishes=wishes), message)).outcomes
    assert (outcome.cause, outcome.permanent) == (cause, True)
    assert not any(command.startswith("MAIL") for command in sink.commands)
    assert sink.connections == 1


@pytest.mark.parametrize(
    ("wishes", "each"),
    [
        (Wishes(envid="a b"), RecipientWishes()),
        (Wishes(envid="a\r\nRSET"), RecipientWishes()),
        (Wishes(), RecipientWishes(orcpt="rfc822;a\r\nRCPT TO:<x@y>")),
    ],
)
async def test_nothing_slipped_into_commands(jetty: Jetty, wishes: Wishes, each: RecipientWishes) -> None:
    """A parameter that would be more than one is our own fault, and never said."""
    sink = await jetty.sink()
    courier = jetty.to(sink)
    with pytest.raises(ValueError, match="can't be said"):
        await courier.carry(errand(wishes=wishes, each=each), message)
    await courier.close()
    await sink.left()
    assert not any(command.startswith(("MAIL", "RCPT")) for command in sink.commands)


# --- several recipients ---


def by_address(address: str) -> bytes:
    local = address.partition("@")[0]
    return {"gone": b"550 5.1.1 gone", "full": b"452 4.2.2 full", "later": b"450 4.2.0 later"}.get(local, b"250 ok")


@pytest.mark.parametrize("offers", DIALECTS.values(), ids=DIALECTS.keys())
async def test_partly_refused(jetty: Jetty, offers: tuple[str, ...]) -> None:
    """Each recipient has its own outcome in the errand's order, and those who are taken get one message."""
    sink = await jetty.sink(Manners(offers=offers, rcpt=by_address))
    people = [f"{local}@{LABO}" for local in ("anne", "gone", "later", "full", "bob")]
    attempt = await jetty.to(sink).carry(errand(*people), message)
    assert causes(attempt) == [Cause.DELIVERED, Cause.REFUSED, Cause.DEFERRED, Cause.DEFERRED, Cause.DELIVERED]
    assert [taken.rcpts for taken in sink.messages] == [[f"RCPT TO:<anne@{LABO}>", f"RCPT TO:<bob@{LABO}>"]]


@pytest.mark.parametrize("offers", DIALECTS.values(), ids=DIALECTS.keys())
async def test_all_refused(jetty: Jetty, offers: tuple[str, ...]) -> None:
    """Where nobody is taken the host gets no message, and the connection serves the next after RSET."""
    sink = await jetty.sink(Manners(offers=offers, rcpt=by_address))
    courier = jetty.to(sink)
    attempt = await courier.carry(errand(f"gone@{LABO}", f"gone@{LABO}"), message)
    assert causes(attempt) == [Cause.REFUSED] * 2
    assert sink.messages == []
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert (sink.connections, sink.commands.count("RSET")) == (1, 1)


async def test_data_for_nobody(jetty: Jetty) -> None:
    """A host that says go ahead though it took no recipient gets no end of data: the connection is cut."""
    sink = await jetty.sink(Manners(offers=("PIPELINING",), rcpt=by_address, says={"NODATA": b"354 go"}))
    courier = jetty.to(sink)
    assert causes(await courier.carry(errand(f"gone@{LABO}"), message)) == [Cause.REFUSED]
    await sink.left()
    assert sink.messages == []
    assert "." not in sink.commands


@pytest.mark.parametrize(
    ("offer", "parts"),
    [
        ((), [100, 100, 50]),
        (("LIMITS RCPTMAX=120 MAILMAX=9",), [100, 100, 50]),
        (("LIMITS RCPTMAX=30",), [30] * 8 + [10]),
    ],
)
async def test_many_recipients(jetty: Jetty, offer: tuple[str, ...], parts: list[int]) -> None:
    """A transaction has 100 recipients at most, or as many as the host says that it takes."""
    sink = await jetty.sink(Manners(offers=(*OFFERS, *offer)))
    attempt = await jetty.to(sink).carry(errand(*(f"a{at}@{LABO}" for at in range(250))), message)
    assert causes(attempt) == [Cause.DELIVERED] * 250
    assert [len(taken.rcpts) for taken in sink.messages] == parts
    assert sink.connections == 1


async def test_too_many_at_once(jetty: Jetty) -> None:
    """Recipients beyond those that a host takes at once are given to it in the next transaction."""
    told = 0

    def twenty(command: str) -> bytes | None:
        nonlocal told
        if command == "MAIL":
            told = 0
        told += command == "RCPT"
        return b"452 4.5.3 too many" if command == "RCPT" and told > 20 else None

    sink = await jetty.sink(Manners(after=twenty))
    attempt = await jetty.to(sink).carry(errand(*(f"a{at}@{LABO}" for at in range(50))), message)
    assert causes(attempt) == [Cause.DELIVERED] * 50
    assert [len(taken.rcpts) for taken in sink.messages] == [20, 20, 10]


# --- connections ---


async def test_connection_kept(jetty: Jetty) -> None:
    """Errands one after the other share a connection, and the peer is vouched for before each."""
    sink = await jetty.sink()
    courier = jetty.to(sink)
    for _ in range(20):
        assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert (sink.connections, len(sink.messages), len(jetty.vouched)) == (1, 20, 20)
    await courier.close()
    await sink.left()
    assert sink.commands[-1] == "QUIT"


async def test_connections_a_domain(jetty: Jetty) -> None:
    """However many errands there are at once, a domain has no more connections than the setting says."""
    most = 0

    def count(command: str) -> None:
        nonlocal most
        most = max(most, sink.open_now)

    sink = await jetty.sink(Manners(after=count))
    courier = jetty.to(sink, relay=Relay(max_connections_per_domain=3))
    attempts = await asyncio.gather(*(courier.carry(errand(), message) for _ in range(40)))
    assert all(causes(attempt) == [Cause.DELIVERED] for attempt in attempts)
    assert (most, sink.connections) == (3, 3)


async def test_not_kept(jetty: Jetty) -> None:
    """With no time to be kept, each errand has a connection of its own."""
    sink = await jetty.sink()
    courier = jetty.to(sink, relay=Relay(idle_timeout=Seconds(0)))
    for _ in range(3):
        assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert sink.connections == 3


async def test_idle_one_is_let_go(jetty: Jetty) -> None:
    """A connection that nobody needs for its time is taken leave of."""
    sink = await jetty.sink()
    courier = jetty.to(sink, relay=Relay(idle_timeout=Seconds(1)))
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    courier._pool.leave()
    await sink.left()
    assert sink.commands[-1] == "QUIT"
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert sink.connections == 2


async def test_kept_one_gone(jetty: Jetty, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection that proves dead costs a new one, and nothing is in doubt."""
    monkeypatch.setattr(carrier, "PROBE_AFTER_S", 0.0)
    sink = await jetty.sink()
    courier = jetty.to(sink)
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    for reply in (b"close", b"421 4.4.2 idle too long", HANG, b"hello"):
        first = True

        def once(command: str, reply: bytes = reply) -> bytes | None:
            nonlocal first
            if command == "RSET" and first:
                first = False
                return reply
            return None

        sink.manners = Manners(after=once)
        assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED], reply
    assert (len(sink.messages), sink.connections) == (5, 5)


async def test_full_connection(jetty: Jetty) -> None:
    """A host that takes so many messages a connection isn't given more on it (RFC 9422)."""
    sink = await jetty.sink(Manners(offers=(*OFFERS, "LIMITS MAILMAX=2")))
    courier = jetty.to(sink)
    for _ in range(4):
        assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert sink.connections == 2


async def test_leaves_at_once(jetty: Jetty) -> None:
    """A host that says 421 to a kept connection's message hasn't taken it: it is given it on a new one."""
    sink = await jetty.sink()
    courier = jetty.to(sink)
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    said: Iterator[bytes | None] = iter([b"421 4.3.2 going down"])
    sink.manners = Manners(after=lambda command: next(said, None) if command == "MAIL" else None)
    attempt = await courier.carry(errand(), message)
    assert causes(attempt) == [Cause.DELIVERED]
    assert sink.connections == 2


async def test_renewed(jetty: Jetty) -> None:
    """After the settings were taken anew no old connection serves, and routes and numbers are the new ones."""
    old, new = await jetty.sink(), await jetty.sink()
    courier = jetty.to(old)
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    routes = (Route(LABO, "127.0.0.1", new.port),)
    settings = jetty.settings(Relay(routes=routes, max_connections_per_domain=1))
    courier.renew(settings, client_context(settings))
    await old.left()
    attempts = await asyncio.gather(*(courier.carry(errand(), message) for _ in range(5)))
    assert all(causes(attempt) == [Cause.DELIVERED] for attempt in attempts)
    assert (old.connections, len(old.messages)) == (1, 1)
    assert (new.connections, len(new.messages)) == (1, 5)


# --- slowness ---


async def test_silent_handshake(jetty: Jetty, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that never shakes hands is given up in time."""
    monkeypatch.setattr(wire, "HANDSHAKE_TIMEOUT_S", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        await reader.readline()
        writer.write(b"250-x\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    courier = jetty.courier(Relay(routes=(Route(LABO, "127.0.0.1", port),)))
    assert causes(await courier.carry(errand(), message)) == [Cause.TIMED_OUT]
    server.close()


@pytest.mark.parametrize("offers", [("PIPELINING",), ("PIPELINING", "CHUNKING")], ids=["data", "chunks"])
async def test_takes_nothing(jetty: Jetty, offers: tuple[str, ...]) -> None:
    """A host that stops reading in the midst of a message is given up in time, and the message isn't in doubt."""
    octets = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 2_000_000
    sink = await jetty.sink(Manners(offers=offers, says={"BDAT": HANG, "DATA": b"354 go"}))
    if "CHUNKING" not in offers:
        sink.deaf = True
    (outcome,) = (await jetty.to(sink).carry(errand(size=len(octets)), lambda: message(octets))).outcomes
    assert (outcome.cause, outcome.in_doubt) == (Cause.TIMED_OUT, False)


async def test_too_slow(jetty: Jetty, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes a message so slowly that it would hold a connection for days is given up."""
    monkeypatch.setattr(transaction._Pace, "sent", _late)
    octets = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 50_000
    sink = await jetty.sink()
    (outcome,) = (await jetty.to(sink).carry(errand(size=len(octets)), lambda: message(octets))).outcomes
    assert (outcome.cause, outcome.in_doubt) == (Cause.TIMED_OUT, False)


def _late(self: object, octets: int) -> None:
    raise wire.TimedOut
