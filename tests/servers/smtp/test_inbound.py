"""Other operators at port 25: who is heard, for whom they may write, to whom, and what is kept of a message."""

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from mssmail.base.address import Address
from mssmail.base.clock import FakeClock
from mssmail.base.ids import AccountId
from mssmail.base.refusal import Reason
from mssmail.demo import people as demo
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.directory.trustlist import Trust
from mssmail.flow.trust import TrustLists
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.inbound import MAX_REFUSED
from mssmail.servers.smtp.roles import Role
from mssmail.settings.model import Smtp
from mssmail.settings.trust_space import Operators, Patients
from mssmail.settings.units import Octets, Seconds
from tests.servers.smtp.harbour import Client
from tests.servers.smtp.quay import (
    CLAIRE_HERE,
    DOCTOR,
    HOSPITAL,
    INS,
    LABORATORY,
    PATIENT,
    PATIENTS,
    PAUL_HERE,
    Quay,
    subject_of,
)
from tests.support.issuance import Wish, issue, save
from tests.support.town import CLAIRE, PAUL, Town, address
from tests.support.whitelist import white_list

REFUSED = "reception-refused"
MAIL = f"MAIL FROM:<{DOCTOR}>"


def message(sender: str = DOCTOR, *fields: str, body: str = "bonjour") -> bytes:
    """A message's octets."""
    lines = (f"From: {sender}", "Subject: x", "Message-ID: <1@x>", *fields, "", body, "")
    return "\r\n".join(lines).encode()


def answer(reason: Reason) -> str:
    return replies.REASONS[reason].decode().rstrip()


# --- what is taken ---


async def test_accepted(quay: Quay) -> None:
    """A listed operator's message lies in its boxes octet for octet behind our trace, and the trail has one event."""
    client = await quay.call(quay.hospital)
    octets = message(DOCTOR, "Bcc: kept@elsewhere.example", "Received: from a by b; x", "Date: yesterday", "X-Odd:\ty ")
    assert (await quay.send(client, octets, CLAIRE_HERE, PAUL_HERE)).startswith("250 2.6.0")
    (kept,) = await quay.read(CLAIRE)
    assert await quay.read(PAUL) == [kept]
    trace, rest = kept[: -len(octets)], kept[-len(octets) :]
    assert rest == octets
    assert re.fullmatch(
        rf"Return-Path: <{DOCTOR}>\r\n"
        r"Received: from smtp.hopital.mssante.fr \(\[127.0.0.1\]\)\r\n"
        r" by localhost \(mssmail\) with ESMTPS tls TLS_AES_\w+\r\n id [0-9a-f]+;\r\n [ \w,:+-]+\r\n",
        trace.decode(),
    )
    events = [event for event in quay.town.events() if event[0] == "received"]
    assert len(events) == 1
    _, outcome, said = quay.last("received")
    assert (outcome, said["operator"]) == ("ok", str(subject_of(quay.hospital)))
    assert (said["client"], said["greeted"], said["recipients"], said["octets"], said["tls"]) == (
        "127.0.0.1",
        "smtp.hopital.mssante.fr",
        2,
        len(octets),
        "TLSv1.3",
    )


async def test_announced(quay: Quay) -> None:
    """In clear STARTTLS alone; behind it neither it nor AUTH, and that TLS may be required of what is sent on."""
    client = await quay.connect(Role.SMTP)
    await client.reply()
    clear = await client.ask("EHLO smtp.hopital.mssante.fr")
    await client.start_tls(quay.client_context(quay.hospital))
    secured = await client.ask("EHLO smtp.hopital.mssante.fr")
    assert [{line[4:].split()[0] for line in said.split("\n")[1:]} for said in (clear, secured)] == [
        {
            "PIPELINING",
            "SIZE",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "CHUNKING",
            "DELIVERBY",
            "MT-PRIORITY",
            "LIMITS",
            last,
            "ENHANCEDSTATUSCODES",
        }
        for last in ("STARTTLS", "REQUIRETLS")
    ]


@pytest.mark.parametrize(
    ("sender", "parameters", "protocol"),
    [
        (DOCTOR, " BODY=8BITMIME SIZE=100 REQUIRETLS RET=HDRS ENVID=a+2B", "ESMTPS"),
        (f"hélène@{HOSPITAL}", " SMTPUTF8", "UTF8SMTPS"),
        ("", "", "ESMTPS"),
    ],
)
async def test_parameters(quay: Quay, sender: str, parameters: str, protocol: str) -> None:
    """Extensions on offer are taken, the null sender too: a report of non-delivery has no other."""
    client = await quay.call(quay.hospital)
    said = await quay.send(client, message(sender or DOCTOR), sender=sender, parameters=parameters)
    assert said.startswith("250 2.6.0")
    (kept,) = await quay.read(CLAIRE)
    assert kept.startswith(f"Return-Path: <{sender}>\r\n".encode())
    assert f" with {protocol} tls ".encode() in kept
    assert quay.last("received")[2].get("require_tls") == (True if "REQUIRETLS" in parameters else None)


async def test_chunks(quay: Quay) -> None:
    """A message by BDAT is one by DATA."""
    client = await quay.call(quay.hospital)
    octets = message()
    client.send(MAIL, f"RCPT TO:<{CLAIRE_HERE}>", f"BDAT {len(octets)} LAST")
    client.writer.write(octets)
    assert [(await client.reply())[:9] for _ in range(3)] == ["250 2.1.0", "250 2.1.5", "250 2.6.0"]
    assert [kept[-len(octets) :] for kept in await quay.read(CLAIRE)] == [octets]


async def test_several_recipients_each_on_their_own(quay: Quay) -> None:
    """One refused recipient costs the others nothing; each refusal is in the trail with the operator."""
    client = await quay.call(quay.hospital)
    strangers = (f"jean.inconnu@{demo.DOMAIN}", "somebody@gmail.com")
    client.send(MAIL, *(f"RCPT TO:<{to}>" for to in (strangers[0], CLAIRE_HERE, strangers[1])), "DATA")
    said = [await client.reply() for _ in range(5)]
    assert (said[1], said[3]) == (answer(Reason.NOT_REGISTERED), answer(Reason.RELAY))
    client.writer.write(message() + b".\r\n")
    assert (await client.reply()).startswith("250")
    refused = [(event[2], event[3]["d"]) for event in quay.town.events() if event[0] == "recipient-refused"]
    assert [outcome for outcome, _ in refused] == ["not-registered", "relay"]
    assert all(isinstance(d, dict) and d["operator"] == str(subject_of(quay.hospital)) for _, d in refused)


async def test_repeat_after_a_lost_reply(quay: Quay) -> None:
    """The same octets of the same operator, whose 250 wasn't read, are stored once; another operator's are another."""
    for leaf in (quay.hospital, quay.hospital, quay.laboratory):
        sender = DOCTOR if leaf is quay.hospital else f"dr.house@{LABORATORY}"
        client = await quay.call(leaf)
        assert (await quay.send(client, message(sender), sender=sender)).startswith("250")
        tasks = [session.task for session in (quay.server.open if quay.server is not None else ())]
        client.close()
        for task in tasks:
            assert task is not None
            await task
    assert len(await quay.read(CLAIRE)) == 2
    assert [event[0] for event in quay.town.events()].count("reception-repeated") == 1


# --- who isn't heard ---


def _expired(quay: Quay) -> Leaf:
    subject = x509.load_pem_x509_certificates(quay.hospital.cert.read_bytes())[0].subject
    wish = Wish(subject=subject, begins=-10.0, ends=-1.0)
    return save(quay.home.folder, "expired", *issue(quay.pki.organisations, quay.home.clock, wish))


def _revoked(quay: Quay) -> Leaf:
    serial = x509.load_pem_x509_certificates(quay.hospital.cert.read_bytes())[0].serial_number
    quay.pki.revoke(quay.pki.organisations, serial)
    quay.certificates.reload_if_changed()
    return quay.hospital


CERTIFICATES: dict[str, tuple[Callable[[Quay], Leaf | None], str, Reason]] = {
    "none": (lambda quay: None, "none-shown", Reason.OPERATOR_CERTIFICATE),
    "person": (
        lambda quay: quay.pki.person("810000000001", "MARTIN", "CLAIRE", "Médecin"),
        "purpose",
        Reason.OPERATOR_CERTIFICATE,
    ),
    "expired": (_expired, "expired", Reason.OPERATOR_CERTIFICATE),
    "revoked": (_revoked, "revoked", Reason.OPERATOR_CERTIFICATE),
}


@pytest.mark.parametrize("which", CERTIFICATES)
async def test_certificate(quay: Quay, which: str) -> None:
    """Without an operator's certificate that is good now nobody is heard; each attempt is traced, three end it."""
    leaf, cause, reason = CERTIFICATES[which]
    client = await quay.call(leaf(quay))
    for _ in range(MAX_REFUSED):
        assert await client.ask(MAIL) == answer(reason)
        kind, outcome, said = quay.last(REFUSED)
        assert (kind, outcome, said["cause"], said["client"]) == (REFUSED, reason.value, cause, "127.0.0.1")
    assert (await client.rest()).startswith(b"421 4.7.0")
    assert [event[0] for event in quay.town.events()].count(REFUSED) == MAX_REFUSED
    assert await quay.read(CLAIRE) == []


async def test_nothing_before_mail(quay: Quay) -> None:
    """Without a certificate no recipient can be asked for, and no message sent."""
    client = await quay.call(None)
    await client.ask(MAIL)
    assert (await client.ask(f"RCPT TO:<{CLAIRE_HERE}>")).startswith("503 5.5.1")
    assert (await client.ask("DATA")).startswith("503 5.5.1")


@pytest.mark.parametrize(
    ("leaf", "sender", "reason"),
    [
        ("laboratory", DOCTOR, Reason.NOT_LISTED),
        ("hospital", "dr@unlisted.mssante.fr", Reason.NOT_LISTED),
        ("hospital", "dr@gmail.com", Reason.NOT_LISTED),
        ("hospital", CLAIRE_HERE, Reason.OWN_DOMAIN),
        ("stranger", f"dr@{HOSPITAL}", Reason.NOT_LISTED),
        ("stranger", "", Reason.NOT_LISTED),
        ("own", CLAIRE_HERE, Reason.OWN_DOMAIN),
        ("hospital", f"123456789012345@{PATIENTS}", Reason.PATIENT),
        ("hospital", f"jean.dupont@{PATIENTS}", Reason.PATIENT),
        ("laboratory", PATIENT, Reason.NOT_LISTED),
    ],
)
async def test_sender(quay: Quay, leaf: str, sender: str, reason: Reason) -> None:
    """An operator writes for the domains that the list gives its certificate: no other's, never for ours."""
    leaves = {
        "hospital": quay.hospital,
        "laboratory": quay.laboratory,
        "stranger": quay.pki.organisation("smtp.nobody.fr", "1750000009", "NOBODY", "Paris (75)"),
        # as the server's own may be used by who stole it
        "own": quay.pki.organisation("localhost", "1750000001", "DEMO MSSMAIL", "Paris (75)"),
    }
    client = await quay.call(leaves[leaf])
    assert await client.ask(f"MAIL FROM:<{sender}>") == answer(reason)
    _, outcome, said = quay.last(REFUSED)
    assert (outcome, said["operator"]) == (reason.value, str(subject_of(leaves[leaf])))


async def test_judged_at_each_mail(quay: Quay) -> None:
    """A domain taken from an operator, and a certificate's end, count at the next MAIL of an open session."""
    client = await quay.call(quay.hospital)
    assert (await quay.send(client, message())).startswith("250")
    await quay.list_operators((HOSPITAL, subject_of(quay.laboratory)))
    assert (await quay.send(client, message())).startswith("250")
    entries = [(HOSPITAL, subject_of(quay.laboratory)), (LABORATORY, subject_of(quay.laboratory))]
    lists = TrustLists(quay.town.house, "root")
    await lists.load(white_list(quay.home.clock.now(), *entries), name="x", allow_shrink=True)
    assert await client.ask(MAIL) == answer(Reason.NOT_LISTED)
    await quay.list_operators()
    assert (await quay.send(client, message())).startswith("250")
    _revoked(quay)
    assert await client.ask(MAIL) == answer(Reason.OPERATOR_CERTIFICATE)


async def test_what_is_missing_here_is_temporary(quay: Quay) -> None:
    """While our own revocation list has expired the peer keeps its mail; it isn't told that its certificate is bad."""
    client = await quay.call(quay.hospital)
    assert isinstance(quay.home.clock, FakeClock)
    quay.home.clock.advance(40 * 86_400)
    assert await client.ask(MAIL) == answer(Reason.UNAVAILABLE)
    _, outcome, said = quay.last(REFUSED)
    assert (outcome, said["cause"]) == ("unavailable", "old-list")


async def test_without_a_white_list(town: Town) -> None:
    """While no list is in service nobody is let in, for the time being."""
    quay = Quay(town)
    await quay.berth()
    (town.home.folder / "trust" / "list.xml").unlink()
    object.__setattr__(quay.server.house if quay.server else None, "white_list", Trust(Path("/nowhere"), town.clock))
    client = await quay.call(quay.hospital)
    assert await client.ask(MAIL) == answer(Reason.UNAVAILABLE)
    await quay.close()


# --- recipients ---


@pytest.mark.parametrize(
    ("recipient", "reason"),
    [
        ("somebody@gmail.com", Reason.RELAY),
        (f"dr@{HOSPITAL}", Reason.RELAY),
        (f"dr@{LABORATORY}", Reason.RELAY),
        (PATIENT, Reason.RELAY),
        (f"jean.inconnu@{demo.DOMAIN}", Reason.NOT_REGISTERED),
        (f"luc.sansboite@{demo.DOMAIN}", Reason.NO_MAILBOX),
        (PAUL_HERE, Reason.SUSPENDED),
        (CLAIRE_HERE, Reason.STRUCK_OFF),
    ],
)
async def test_recipient(quay: Quay, recipient: str, reason: Reason) -> None:
    """Our own registered professionals alone are written to: nothing is relayed, whoever asks."""
    if reason is Reason.SUSPENDED:
        await quay.town.people.suspend(address(PAUL))
    if reason is Reason.STRUCK_OFF:
        await quay.town.load(quay.town.population.without(demo.CLAIRE.national_id))
    client = await quay.call(quay.hospital)
    assert await quay.send(client, message(), recipient) == answer(reason)
    assert quay.last("recipient-refused")[1] == reason.value


# --- messages ---

_HOP = "Received: from a by b; Tue, 1 Sep 2026 10:00:00 +0200"
_HERE = "Received: from a (b [192.0.2.1]) by localhost (mssmail) with ESMTPS id 1; x"


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (message(f"dr@{LABORATORY}"), Reason.MISALIGNED),
        (message(f"{DOCTOR}, dr@gmail.com"), Reason.MISALIGNED),
        (message(CLAIRE_HERE), Reason.MISALIGNED),
        (message(PATIENT), Reason.MISALIGNED),
        (message(DOCTOR, f"From: {DOCTOR}"), Reason.BAD_HEADERS),
        (b"Subject: no From\r\n\r\nx\r\n", Reason.BAD_HEADERS),
        (message("nobody"), Reason.BAD_HEADERS),
        (message(DOCTOR, *[_HOP] * 101), Reason.LOOP),
        (message(DOCTOR, *[_HERE] * 5), Reason.LOOP),
        (message(body="bare\nnewline"), Reason.BARE_NEWLINE),
        (message(body="end\n.\r\nMAIL FROM:<x@y>"), Reason.BARE_NEWLINE),
        (message(body="x" * 70_000), Reason.LINE_TOO_LONG),
    ],
)
async def test_message(quay: Quay, octets: bytes, reason: Reason) -> None:
    """A message that isn't its operator's, goes in circles or could be read as two is refused, and nothing is kept."""
    client = await quay.call(quay.hospital)
    assert await quay.send(client, octets) == answer(reason)
    _, outcome, said = quay.last(REFUSED)
    assert (outcome, said["operator"]) == (reason.value, str(subject_of(quay.hospital)))
    assert await client.ask("NOOP") == "250 2.0.0 OK"
    assert await quay.read(CLAIRE) == []


async def test_passed_here_before(quay: Quay) -> None:
    """Mail that was forwarded to and fro a few times is no loop, nor is what came over a hundred hops."""
    client = await quay.call(quay.hospital)
    assert (await quay.send(client, message(DOCTOR, *[_HERE] * 4, *[_HOP] * 96))).startswith("250")


async def test_forged_fields(quay: Quay) -> None:
    """What only we may say is taken out however it is spelled; others' results and all else stay where they were."""
    forged = (
        "Authentication-Results: localhost; spf=pass",
        "AUTHENTICATION-RESULTS : (a comment)\r\n LocalHost. 1; none",
        'authentication-results: "local\\host"; none',
        "Authentication-Results: demo.mssante.fr; dkim=pass",
        "Authentication-Results: (never closed localhost; none",
        "X-MSSmail-Trust: yes",
        "x-mssmail-",
    )
    kept = (
        "Authentication-Results: mx.elsewhere.example; spf=pass smtp.mailfrom=localhost",
        "X-MSS-NIL: 123",
        "X-MSSmailer: y",
    )
    client = await quay.call(quay.hospital)
    octets = message(DOCTOR, forged[0], kept[0], *forged[1:6], kept[1], forged[6] + ": z", kept[2])
    assert (await quay.send(client, octets)).startswith("250")
    (found,) = await quay.read(CLAIRE)
    assert found.endswith(message(DOCTOR, *kept))


@pytest.mark.parametrize("announced", [True, False])
async def test_too_large(town: Town, announced: bool) -> None:
    """A message over the limit is refused at MAIL where its size is announced, at its end where not; traced."""
    settings = replace(town.home.settings, smtp=Smtp(max_message_size=Octets(70_000)))
    quay = Quay(town, settings)
    await quay.berth()
    client = await quay.call(quay.hospital)
    body = ("y" * 998 + "\r\n") * 80
    size = " SIZE=80000" if announced else ""
    assert await quay.send(client, message(body=body), parameters=size) == answer(Reason.TOO_LARGE)
    assert quay.last(REFUSED)[1] == "too-large"
    await quay.close()


# --- patients ---


class Wrote:
    """Everybody wrote to the patient."""

    async def wrote_to(self, patient: Address, accounts: Sequence[AccountId]) -> frozenset[AccountId]:
        return frozenset(accounts) if str(patient) == PATIENT else frozenset()


@pytest.mark.parametrize(
    ("may_answer", "wrote", "sender", "from_", "reason"),
    [
        (False, True, PATIENT, PATIENT, Reason.PATIENT),
        (True, False, PATIENT, PATIENT, Reason.PATIENT),
        (True, True, PATIENT, PATIENT, None),
        (True, True, PATIENT, DOCTOR, Reason.MISALIGNED),
        (True, True, DOCTOR, PATIENT, Reason.MISALIGNED),
        (True, True, "", PATIENT, None),
        (False, True, "", PATIENT, Reason.PATIENT),
    ],
)
async def test_patient(
    town: Town, may_answer: bool, wrote: bool, sender: str, from_: str, reason: Reason | None
) -> None:
    """A patient writes to who wrote to them first where the setting says so, as themselves, and not otherwise."""
    settings = replace(town.home.settings, patients=Patients(may_answer=may_answer))
    quay = Quay(town, settings, Wrote() if wrote else None)
    await quay.berth()
    client = await quay.call(quay.hospital)
    said = await quay.send(client, message(from_), sender=sender)
    assert said.startswith("250 2.6.0") if reason is None else said == answer(reason)
    assert len(await quay.read(CLAIRE)) == (reason is None)
    await quay.close()


async def test_a_patient_learns_nothing(quay: Quay) -> None:
    """Who is here and who isn't is the same to a patient who may not write."""
    client = await quay.call(quay.hospital)
    assert (await client.ask(f"MAIL FROM:<{PATIENT}>")).startswith("250")
    for local in (CLAIRE, "jean.inconnu", "luc.sansboite"):
        assert await client.ask(f"RCPT TO:<{local}@{demo.DOMAIN}>") == answer(Reason.PATIENT)


# --- the protocol ---


@pytest.mark.parametrize("command", [MAIL, f"RCPT TO:<{CLAIRE_HERE}>", "DATA", "AUTH PLAIN AGEAYg==", "RSET", "VRFY x"])
async def test_before_tls(quay: Quay, command: str) -> None:
    """Nothing of worth is said in clear."""
    client = await quay.connect(Role.SMTP)
    await client.reply()
    await client.ask("EHLO smtp.hopital.mssante.fr")
    assert await client.ask(command) == "530 5.7.0 Must issue a STARTTLS command first"


async def test_injection_before_tls(quay: Quay) -> None:
    """What came in clear behind STARTTLS is thrown away (RFC 3207 §5): it may not be the operator's."""
    client = await quay.connect(Role.SMTP)
    await client.reply()
    await client.ask("EHLO smtp.hopital.mssante.fr")
    client.send("STARTTLS", "EHLO forged.example", MAIL, f"RCPT TO:<{CLAIRE_HERE}>")
    assert (await client.reply()).startswith("220")
    await client.writer.start_tls(quay.client_context(quay.hospital), server_hostname="localhost")
    assert (await client.ask("NOOP")) == "250 2.0.0 OK"
    assert (await client.ask(MAIL)).startswith("503 5.5.1")


async def test_nobody_signs_in(quay: Quay) -> None:
    """AUTH isn't there, whoever asks."""
    for leaf in (quay.hospital, None):
        client = await quay.call(leaf)
        assert (await client.ask("AUTH PLAIN AGEAYg==")).startswith("502 5.5.1")


@pytest.mark.parametrize("name", ["", "a b", "x(y)", "x\tby localhost", "é.example", "[::1] by x", "-", "x" * 256])
async def test_greeting(quay: Quay, name: str) -> None:
    """A name that could be read otherwise in Received isn't taken."""
    client = await quay.enter(Role.SMTP, quay.hospital)
    assert (await client.ask(f"EHLO {name}")).startswith("501 5.5.4")
    assert (await client.ask("EHLO [IPv6:::1]")).startswith("250-")


async def test_unchained_certificate(quay: Quay) -> None:
    """A certificate that no anchor issued ends the handshake."""
    other = DemoPki.create_or_load(quay.home.folder / "other", quay.home.clock)
    client = await quay.connect(Role.SMTP)
    await client.reply()
    await client.ask("EHLO smtp.hopital.mssante.fr")
    assert (await client.ask("STARTTLS")).startswith("220")
    leaf = other.organisation("smtp.hopital.mssante.fr", "1750000002", "HÔPITAL", "Puy-de-Dôme (63)")
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        await client.writer.start_tls(quay.client_context(leaf), server_hostname="localhost")
        await client.ask("EHLO x")


# --- limits ---


async def limited(town: Town, **operators: int) -> Quay:
    settings = replace(town.home.settings, operators=Operators(**operators))
    settings = replace(settings, server=replace(settings.server, loopback_unlimited=False))
    quay = Quay(town, settings)
    await quay.berth()
    return quay


async def test_messages_an_hour(town: Town) -> None:
    """An operator that sent as many as it may is told to come later; another isn't, nor is it an hour later."""
    quay = await limited(town, max_messages_per_hour=1)
    client = await quay.call(quay.hospital)
    assert (await quay.send(client, message())).startswith("250")
    await client.ask(MAIL)
    await client.ask(f"RCPT TO:<{CLAIRE_HERE}>")
    assert await client.ask("DATA") == answer(Reason.TOO_MANY_MESSAGES)
    other, sender = await quay.call(quay.laboratory), f"dr@{LABORATORY}"
    assert (await quay.send(other, message(sender), sender=sender)).startswith("250")
    town.clock.advance(3601)
    assert (await client.ask("RSET")).startswith("250")
    assert (await quay.send(client, message())).startswith("250")
    await quay.close()


async def test_connections(town: Town) -> None:
    """One operator's connections are counted together, wherever they come from, until they close."""
    quay = await limited(town, max_connections=1)
    first = await quay.call(quay.hospital)
    assert (await first.ask(MAIL)).startswith("250")
    second = await quay.call(quay.hospital)
    assert (await second.ask(MAIL)).startswith("421 4.7.0")
    other = await quay.call(quay.laboratory)
    assert (await other.ask(f"MAIL FROM:<dr@{LABORATORY}>")).startswith("250")
    assert (await first.ask("QUIT")).startswith("221")
    assert await first.end()
    third = await quay.call(quay.hospital)
    assert (await third.ask(MAIL)).startswith("250")
    await quay.close()


async def test_recipients(town: Town) -> None:
    """One message's recipients are limited; those beyond are refused for now, the others served."""
    quay = await limited(town, max_recipients=100)
    client = await quay.call(quay.hospital)
    await client.ask(MAIL)
    client.send(*(f"RCPT TO:<r{n}@{demo.DOMAIN}>" for n in range(101)))
    assert [(await client.reply())[:9] for _ in range(101)] == ["550 5.1.1"] * 100 + ["452 4.5.3"]
    await quay.close()


async def test_silence(town: Town) -> None:
    """Who says nothing of worth is let go."""
    settings = replace(town.home.settings, smtp=Smtp(timeout=Seconds(1)))
    quay = Quay(town, settings)
    await quay.berth()
    client: Client = await quay.connect(Role.SMTP)
    assert (await client.rest()).endswith(b"421 4.4.2 Timeout, closing\r\n")
    await quay.close()


def test_the_tests_own_patient() -> None:
    """The matricule used here has its key."""
    assert int(INS[13:]) == 97 - int(INS[:13]) % 97
