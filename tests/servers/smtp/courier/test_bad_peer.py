"""Hosts that misbehave, each on a real socket: what is found, whether for good, whether the message is in doubt."""

import asyncio
import ssl
from dataclasses import dataclass, field

import pytest

from mssmail.base.relay import Cause
from mssmail.servers.smtp.courier.reply import MAX_LINE_OCTETS, MAX_LINES
from tests.servers.smtp.courier.jetty import LABO, MESSAGE, Jetty, causes, errand, message
from tests.servers.smtp.courier.sink import CLOSE, HANG, OFFERS, Manners, server_tls

PLAIN = ("SIZE", "8BITMIME")
"""Neither PIPELINING nor CHUNKING."""
NO_CHUNKS = ("PIPELINING", "8BITMIME")
MEGABYTE = b"x" * (1 << 20)
ENDLESS = b"250-x\r\n" * (MAX_LINES + 1)


@dataclass
class Case:
    manners: Manners
    cause: Cause
    permanent: bool = False
    in_doubt: bool = False
    answer: str = ""
    """The beginning of the answer that is kept."""
    reached: bool = field(default=True)


def says(offers: tuple[str, ...] = OFFERS, **replies: bytes) -> Manners:
    return Manners(says=replies, offers=offers)


CASES = {
    # before TLS
    "greeting-garbage": Case(says(GREETING=b"SSH-2.0-OpenSSH_9"), Cause.GARBAGE),
    "greeting-endless-line": Case(says(GREETING=b"220 " + MEGABYTE), Cause.GARBAGE),
    "greeting-endless-lines": Case(says(GREETING=b"220-x\r\n" * (MAX_LINES + 1)), Cause.GARBAGE),
    "greeting-hangs": Case(says(GREETING=HANG), Cause.TIMED_OUT),
    "greeting-closes": Case(says(GREETING=CLOSE), Cause.LOST),
    "greeting-4xx": Case(says(GREETING=b"421 4.3.2 busy"), Cause.DEFERRED, answer="421 4.3.2 busy"),
    "greeting-554": Case(says(GREETING=b"554 5.7.1 not you"), Cause.DEFERRED, answer="554 5.7.1 not you"),
    "greeting-never-takes-mail": Case(says(GREETING=b"521 no mail here"), Cause.REFUSED, permanent=True, answer="521"),
    "greeting-3xx": Case(says(GREETING=b"354 go"), Cause.GARBAGE),
    "ehlo-unknown": Case(says(EHLO=b"502 5.5.1 what"), Cause.NO_STARTTLS),
    "ehlo-hangs": Case(says(EHLO=HANG), Cause.TIMED_OUT),
    "ehlo-garbage": Case(says(EHLO=b"hello"), Cause.GARBAGE),
    "ehlo-two-codes": Case(says(EHLO=b"250-a\r\n251 b"), Cause.GARBAGE),
    "starttls-stripped": Case(Manners(clear=("PIPELINING",)), Cause.NO_STARTTLS),
    "starttls-refused": Case(says(STARTTLS=b"454 4.7.0 not now"), Cause.NO_STARTTLS, answer="454 4.7.0"),
    "starttls-hangs": Case(says(STARTTLS=HANG), Cause.TIMED_OUT),
    "starttls-closes": Case(says(STARTTLS=CLOSE), Cause.LOST),
    "starttls-injected": Case(Manners(says={"STARTTLS": b"220 go\r\n250 STARTTLS"}), Cause.NO_STARTTLS),
    # after TLS
    "hello-4xx": Case(says(HELLO=b"450 4.3.2 later"), Cause.DEFERRED, answer="450"),
    "hello-closes": Case(says(HELLO=CLOSE), Cause.LOST),
    "hello-endless": Case(says(HELLO=ENDLESS), Cause.GARBAGE),
    "mail-4xx": Case(says(MAIL=b"451 4.7.1 later"), Cause.DEFERRED, answer="451 4.7.1 later"),
    "mail-5xx": Case(says(MAIL=b"550 5.7.1 never"), Cause.REFUSED, permanent=True, answer="550 5.7.1 never"),
    "mail-421": Case(says(MAIL=b"421 4.3.2 going"), Cause.DEFERRED, answer="421 4.3.2 going"),
    "rcpt-4xx": Case(says(RCPT=b"450 4.2.0 later"), Cause.DEFERRED, answer="450 4.2.0 later"),
    "rcpt-5xx": Case(says(RCPT=b"550 5.1.1 who"), Cause.REFUSED, permanent=True, answer="550 5.1.1 who"),
    "rcpt-3xx": Case(says(RCPT=b"354 go on"), Cause.GARBAGE, in_doubt=True),
    "rcpt-3xx-plain": Case(says(PLAIN, RCPT=b"354 go on"), Cause.GARBAGE),
    "rcpt-552": Case(says(RCPT=b"552 too many"), Cause.DEFERRED, answer="552 too many"),
    "rcpt-421": Case(says(RCPT=b"421 bye"), Cause.DEFERRED, answer="421 bye"),
    "data-4xx": Case(says(NO_CHUNKS, DATA=b"452 4.3.1 full"), Cause.DEFERRED, answer="452 4.3.1 full"),
    "data-5xx": Case(says(PLAIN, DATA=b"554 5.7.0 no"), Cause.REFUSED, permanent=True, answer="554 5.7.0 no"),
    "data-250": Case(says(PLAIN, DATA=b"250 what"), Cause.GARBAGE),
    "data-hangs": Case(says(PLAIN, DATA=HANG), Cause.TIMED_OUT),
    "data-closes": Case(says(NO_CHUNKS, DATA=CLOSE), Cause.LOST),
    # the message is sent
    "end-hangs": Case(says(END=HANG), Cause.TIMED_OUT, in_doubt=True),
    "end-hangs-data": Case(says(NO_CHUNKS, END=HANG), Cause.TIMED_OUT, in_doubt=True),
    "end-closes": Case(says(END=CLOSE), Cause.LOST, in_doubt=True),
    "end-closes-data": Case(says(PLAIN, END=CLOSE), Cause.LOST, in_doubt=True),
    "end-garbage": Case(says(END=b"fine, thanks"), Cause.GARBAGE, in_doubt=True),
    "end-endless": Case(says(END=b"250 " + MEGABYTE), Cause.GARBAGE, in_doubt=True),
    "end-3xx": Case(says(END=b"354 more"), Cause.GARBAGE, in_doubt=True),
    "end-4xx": Case(says(END=b"451 4.3.0 later"), Cause.DEFERRED, answer="451 4.3.0 later"),
    "end-5xx": Case(says(PLAIN, END=b"554 5.6.0 ugly"), Cause.REFUSED, permanent=True, answer="554 5.6.0 ugly"),
    "end-421": Case(says(END=b"421 4.3.2 going"), Cause.DEFERRED, answer="421 4.3.2 going"),
    # before it could be taken, though all was sent in one piece
    "mail-closes": Case(says(MAIL=CLOSE), Cause.LOST, in_doubt=True),
    "mail-closes-data": Case(says(NO_CHUNKS, MAIL=CLOSE), Cause.LOST),
    "rcpt-hangs-plain": Case(says(PLAIN, RCPT=HANG), Cause.TIMED_OUT),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_bad_peer(jetty: Jetty, case: Case) -> None:
    """What a host does wrong has one cause, is for good only by its own word, and in doubt only once all was sent."""
    sink = await jetty.sink(case.manners)
    attempt = await jetty.to(sink).carry(errand(), message)
    (outcome,) = attempt.outcomes
    assert outcome.cause is case.cause, outcome
    assert (outcome.permanent, outcome.in_doubt) == (case.permanent, case.in_doubt)
    assert str(outcome.answer or "").startswith(case.answer)
    assert outcome.status.startswith("5" if case.permanent else "4")
    assert len(outcome.detail) < 300
    assert outcome.detail.isprintable()
    assert attempt.hop is not None
    assert case.in_doubt or sink.messages == []


async def test_slipped_in(jetty: Jetty) -> None:
    """What is slipped in behind the answer to STARTTLS ends it, whether it is seen before the handshake or in it."""
    sink = await jetty.sink(Manners(behind_starttls=b"250 ok\r\n" * 3))
    (cause,) = causes(await jetty.to(sink).carry(errand(), message))
    assert cause in (Cause.NO_STARTTLS, Cause.TLS_FAILED)


async def test_never_in_clear(jetty: Jetty) -> None:
    """A host that offers everything but TLS hears EHLO and QUIT, and nothing more."""
    sink = await jetty.sink(Manners(clear=OFFERS))
    await jetty.to(sink).carry(errand(), message)
    await sink.left()
    assert sink.commands == ["EHLO smtp.hopital.mssante.fr", "QUIT"]


async def test_forever_4xx(jetty: Jetty) -> None:
    """A host that always says later is asked once an errand, and nothing is kept waiting."""
    sink = await jetty.sink(says(RCPT=b"451 4.7.1 greylisted"))
    courier = jetty.to(sink)
    for _ in range(5):
        assert causes(await courier.carry(errand(), message)) == [Cause.DEFERRED]
    assert sink.connections == 1
    assert sum(command.startswith("RCPT") for command in sink.commands) == 5


async def test_long_line_is_bounded(jetty: Jetty) -> None:
    """Of a line without end no more is read than is needed to see that it has none."""
    sink = await jetty.sink(says(GREETING=b"220 " + b"x" * MAX_LINE_OCTETS))
    assert causes(await jetty.to(sink).carry(errand(), message)) == [Cause.GARBAGE]


async def test_longest_line(jetty: Jetty) -> None:
    """What is long but within the bound is taken, and what is shown of it is cut."""
    sink = await jetty.sink(says(END=b"250 2.0.0 " + b"x" * (MAX_LINE_OCTETS - 20)))
    (outcome,) = (await jetty.to(sink).carry(errand(), message)).outcomes
    assert outcome.cause is Cause.DELIVERED
    assert outcome.answer is not None
    assert len(outcome.answer.text) == 400


async def test_control_characters(jetty: Jetty) -> None:
    """Nothing of an answer reaches the trace but printable ASCII in one line."""
    sink = await jetty.sink(says(RCPT=b"550-5.1.1 a\x1b[31m\xff\r\n550 5.1.1 b\tc"))
    (outcome,) = (await jetty.to(sink).carry(errand(), message)).outcomes
    assert str(outcome.answer) == "550 5.1.1 a?[31m? b c"


async def test_unreachable(jetty: Jetty) -> None:
    """Where nobody listens the errand ends at once, without a hop."""
    sink = await jetty.sink()
    courier = jetty.to(sink)
    await sink.close()
    attempt = await courier.carry(errand(), message)
    assert (causes(attempt), attempt.hop) == ([Cause.UNREACHABLE], None)
    assert attempt.outcomes[0].detail.startswith(f"[127.0.0.1]:{sink.port}: ")


async def test_more_than_was_asked(jetty: Jetty) -> None:
    """A host that answers what it wasn't asked isn't given the next message on that connection."""
    sink = await jetty.sink(says(END=b"250 2.0.0 one\r\n250 2.0.0 two"))
    courier = jetty.to(sink)
    for _ in range(2):
        assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert (sink.connections, len(sink.messages)) == (2, 2)


async def test_interrupted(jetty: Jetty) -> None:
    """A host that refuses in the midst of a large message isn't given the rest, and is believed."""
    octets = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 300_000
    sink = await jetty.sink(Manners(offers=NO_CHUNKS, says={"DATA": b"354 go\r\n552 5.3.4 too much"}))
    given = 0

    async def counted():  # type: ignore[no-untyped-def]
        nonlocal given
        async for piece in message(octets):
            given += len(piece)
            await asyncio.sleep(0)
            yield piece

    (outcome,) = (await jetty.to(sink).carry(errand(size=len(octets)), counted)).outcomes
    assert (outcome.cause, outcome.in_doubt) == (Cause.REFUSED, False)
    assert given < len(octets)


async def test_chunk_refused(jetty: Jetty) -> None:
    """A chunk refused ends the message, and the connection serves the next after RSET (RFC 3030 §2)."""
    octets = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 100_000
    sink = await jetty.sink(says(BDAT=b"452 4.3.1 full"))
    courier = jetty.to(sink)
    (outcome,) = (await courier.carry(errand(size=len(octets)), lambda: message(octets))).outcomes
    assert (outcome.cause, outcome.in_doubt) == (Cause.DEFERRED, False)
    sink.manners = Manners()
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert (sink.connections, sink.commands.count("RSET")) == (1, 1)


# --- certificates: what TLS itself decides; the rest is the vouch's, in test_vouch ---


async def test_stranger(jetty: Jetty, tmp_path: object) -> None:
    """A certificate of no anchor of operators' ends it, though it is a good one of persons'."""
    leaf = jetty.pki.person("810000000001", "MARTIN", "CLAIRE", "Médecin")
    sink = await jetty.sink(leaf=leaf)
    attempt = await jetty.to(sink).carry(errand(), message)
    assert causes(attempt) == [Cause.CERTIFICATE]
    assert sink.commands == ["EHLO smtp.hopital.mssante.fr", "STARTTLS"]


async def test_own_certificate_shown(jetty: Jetty) -> None:
    """The host is shown the organisation's certificate."""
    sink = await jetty.sink()
    await jetty.to(sink).carry(errand(), message)
    expected = ssl.PEM_cert_to_DER_cert(
        jetty.own.cert.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    )
    assert sink.peer == expected


async def test_old_tls(jetty: Jetty) -> None:
    """TLS 1.1 isn't spoken."""
    sink = await jetty.sink()
    sink.context.minimum_version = ssl.TLSVersion.TLSv1
    sink.context.set_ciphers("ALL:@SECLEVEL=0")
    sink.context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert causes(await jetty.to(sink).carry(errand(), message)) == [Cause.TLS_FAILED]


async def test_our_certificate_refused(jetty: Jetty) -> None:
    """A host whose TLS doesn't take our certificate ends it: after our handshake, by an alert that may not arrive."""
    sink = await jetty.sink()
    other = server_tls(jetty.labo)
    other.verify_mode = ssl.CERT_REQUIRED
    other.load_verify_locations(cadata=jetty.pki.persons.pem.decode())
    sink.context = other
    (cause,) = causes(await jetty.to(sink).carry(errand(), message))
    assert cause in (Cause.LOST, Cause.TLS_FAILED)


@pytest.mark.parametrize("verdict", [Cause.CERTIFICATE, Cause.EXPIRED, Cause.REVOKED, Cause.NOT_LISTED, Cause.UNJUDGED])
async def test_not_vouched(jetty: Jetty, verdict: Cause) -> None:
    """A peer that isn't vouched for gets no EHLO under TLS, and the attempt tells whom it met."""
    sink = await jetty.sink()
    jetty.verdict = verdict
    attempt = await jetty.to(sink).carry(errand(), message)
    assert causes(attempt) == [verdict]
    assert attempt.outcomes[0].permanent is False
    assert attempt.hop is not None
    assert (attempt.hop.operator, attempt.hop.tls) == ("CN=LABO", "TLSv1.3")
    await sink.left()
    assert sink.commands == ["EHLO smtp.hopital.mssante.fr", "STARTTLS", "QUIT"]


async def test_no_longer_vouched(jetty: Jetty) -> None:
    """A certificate that expires while the connection is kept gets no further message."""
    sink = await jetty.sink()
    courier = jetty.to(sink)
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    jetty.verdict = Cause.EXPIRED
    assert causes(await courier.carry(errand(), message)) == [Cause.EXPIRED]
    assert len(sink.messages) == 1
    assert jetty.vouched == [LABO] * 3


async def test_body_fails(jetty: Jetty) -> None:
    """What the body raises comes through, and the host is left with half a message at most."""

    async def broken():  # type: ignore[no-untyped-def]
        yield MESSAGE[:20]
        raise RuntimeError("the disk")

    for offers in (OFFERS, NO_CHUNKS, PLAIN):
        sink = await jetty.sink(Manners(offers=offers))
        with pytest.raises(RuntimeError, match="the disk"):
            await jetty.to(sink).carry(errand(), broken)
        assert sink.messages == []


async def test_cancelled(jetty: Jetty) -> None:
    """A courier that is told to stop cuts the connection, and gives the place back."""
    sink = await jetty.sink(says(END=HANG))
    courier = jetty.to(sink)
    task = asyncio.create_task(courier.carry(errand(), message))
    await sink.held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sink.manners = Manners()
    assert causes(await courier.carry(errand(), message)) == [Cause.DELIVERED]
    assert sink.connections == 2
