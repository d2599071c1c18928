"""Examining certificates, directory, database, trail and purge: what is wrong or soon will be, and its remedy.

Reads alone, and writes nothing to the trail: it opens no event and names no person. Works beside a running server.
"""

from collections.abc import Iterator
from typing import Final

from mssmail.base.clock import Clock, utc
from mssmail.base.refusal import Refusal
from mssmail.flow import trust
from mssmail.flow.finding import Finding, Severity, error, note, ok, warning
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.flow.purge import LAST_RUN
from mssmail.flow.watch import LEASE
from mssmail.identity import dates
from mssmail.identity.anchors import TrustFileError
from mssmail.identity.certificates import Certificates, End, Purpose, first_certificate
from mssmail.identity.dates import Dated
from mssmail.identity.fault import Cause
from mssmail.settings.model import DAY, Settings
from mssmail.store import health, periods, queue_term, sendings, trail
from mssmail.store.interface import Transaction

CHECK_S: Final = 10.0
"""How long the database's check may take: a longer one is for a quiet hour."""
CERTIFICATE_DAYS: Final = 30
ANCHOR_DAYS: Final = 90
_DATES_AND_LISTS: Final = frozenset({Cause.EARLY, Cause.EXPIRED, Cause.NO_LIST, Cause.OLD_LIST})
"""What has rows of its own."""
CLOCK_BACK_S: Final = 60.0
_OVERDUE_S: Final = 120.0
"""What a purge and a checkpoint are late before anybody is told: a busy machine is."""


def examine_certificates(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """The server's certificate, the anchors, the revocation lists. Opens files alone."""
    yield from _server(settings, clock.now())
    anchors = settings.trust
    if anchors.persons_ca is None and anchors.organisations_ca is None:
        yield warning(
            "anchors", "none: nobody can sign in by certificate", "set trust.persons_ca, trust.organisations_ca, crls"
        )
        return
    if anchors.allow_test_hierarchy:
        yield warning(
            "anchors",
            "certificates of the test hierarchy are taken",
            "set trust.allow_test_hierarchy = false in production",
        )
    try:
        certificates = Certificates(anchors, clock)
    except TrustFileError as problem:
        yield error("anchors", str(problem), "mend the file that is named")
        return
    if anchors.operators_ca is not None:
        yield _shown_to_operators(settings, certificates, clock.now())
    for anchor in dates.anchors(certificates):
        yield _span("anchors", anchor, clock.now(), ANCHOR_DAYS, "fetch the CA's new certificate")
    for listed in dates.lists(certificates):
        yield _list(listed, clock.now())


def _server(settings: Settings, now: float) -> Iterator[Finding]:
    subject = "server's certificate"
    try:
        certificate, names = dates.server_certificate(settings.tls.certificate)
    except TrustFileError as problem:
        yield error(subject, str(problem), "give the certificate, then its intermediates, as PEM")
        return
    renew = "renew it, put it in the old one's place, and send the server SIGHUP"
    yield _span(subject, certificate, now, CERTIFICATE_DAYS, renew)
    name = settings.server.name.lower()
    wildcard = "*." + name.partition(".")[2]
    if not names & {name, wildcard}:
        yield warning(subject, f"it isn't for server.name ({name})", "set server.name, or ask for one with that name")


def _shown_to_operators(settings: Settings, certificates: Certificates, now: float) -> Finding:
    """What other operators' servers see of us, judged as theirs is at port 25."""
    subject, file = "certificate for operators", settings.relay.certificate or settings.tls.certificate
    remedy = "have one issued for clients too, and name it in relay.certificate, relay.key"
    try:
        examined = certificates.examine(first_certificate(file.read_bytes()), (Purpose.OPERATOR,), End.CLIENT)
        certificate, _ = dates.server_certificate(file)
    except (OSError, Refusal, TrustFileError):
        return error(subject, f"{file.name}: no certificate in it that can be read", "give it as PEM")
    for fault in examined.faults:
        if fault.of_leaf and fault.cause not in _DATES_AND_LISTS:
            return error(subject, f"other operators don't take it: {fault.text}", remedy)
    return _span(subject, certificate, now, CERTIFICATE_DAYS, remedy)


def _span(subject: str, dated: Dated, now: float, warn_days: int, remedy: str) -> Finding:
    until = f"{dated.name}: until {utc(dated.ends_at):%Y-%m-%d}"
    if now < dated.begins_at:
        return error(subject, f"{dated.name}: only from {utc(dated.begins_at):%Y-%m-%d}", "check the clock")
    if now > dated.ends_at:
        return error(subject, f"{until}: it has expired", remedy)
    days = (dated.ends_at - now) / DAY
    if days < warn_days:
        return warning(subject, f"{until}: {days:.0f} days are left", remedy)
    return ok(subject, until)


def _list(listed: Dated, now: float) -> Finding:
    subject, fetch = "revocation lists", "mssmail cert refresh; trust.crl_sources says where from"
    if not listed.begins_at:
        return error(subject, f"{listed.name}: no list; all that it signed are closed out", fetch)
    if now > listed.ends_at:
        at = f"{utc(listed.ends_at):%Y-%m-%d %H:%M}"
        return error(subject, f"{listed.name}: expired at {at}Z; all that it signed are closed out", fetch)
    left_h = (listed.ends_at - now) / 3600
    text = f"{listed.name}: good for {left_h:.0f} h more"
    if listed.grows_old(now):
        return warning(subject, text, fetch)
    return ok(subject, text)


def examine_directory(house: House) -> Finding:
    """Whether there is a directory, and how old it is."""
    subject, settings = "directory", house.settings.directory
    load = "mssmail directory import FILE… (or set directory.source)"
    try:
        age, info = house.directory.age_s(), house.directory.info()
    except Refusal:
        return error(subject, "none is in service: nobody can be written to and no box made", load)
    text = f"{info.people} people, {info.boxes} boxes, {age / DAY:.1f} days old"
    if house.directory.loaded_s() > settings.max_age:
        return error(subject, f"{text}: recipients are refused", load)
    if age > settings.stale_after:
        return warning(subject, text, load)
    return ok(subject, text)


def examine_trust(house: House) -> Iterator[Finding]:
    """Whether there is a white list, how old it is, and whether a newer one was refused. Nothing where none is used."""
    subject, settings, found = "white list", house.settings, trust.status(house)
    load = "mssmail trust refresh, or mssmail trust import FILE"
    if found.listed is None:
        if settings.trust.operators_ca is not None or settings.trust_list.source:
            yield error(subject, "none is in service: no other operator can be spoken with", load)
    else:
        text = f"{len(found.listed.operators)} domains, {found.age_s / DAY:.1f} days old"
        yield warning(subject, text, load) if found.state == "old" else ok(subject, text)
    if found.refused is not None:
        text = f"the newest was refused at {utc(found.refused.at):%Y-%m-%d %H:%M}Z: {found.refused.detail}"
        yield error(subject, text, "ask its publisher; the one before serves on")


async def examine_store(house: House, *, running: bool) -> list[Finding]:
    """The database, the clock against what it holds, the trail and the purge. `running`: a server is at work on it."""
    findings = [await _database(house), await house.read.run(_clock)]
    # before the snapshot that it is compared with: a running server notes newer ones meanwhile
    noted = await off_loop(house, house.trail.noted_checkpoint)
    findings.append(await house.read.run(lambda tx: _checkpoint(tx, house, noted, running=running)))
    last = await off_loop(house, lambda: house.keys.store.note(LAST_RUN))
    findings.append(
        await house.read.run(lambda tx: _purge(tx, house, None if last is None else int(last), running=running))
    )
    findings.append(await house.read.run(_held))
    findings.append(await house.read.run(lambda tx: _queue(tx, house)))
    return findings


def _queue(tx: Transaction, house: House) -> Finding:
    """Mail that no operator takes, and why that may be."""
    subject, (count, oldest) = "queue", queue_term.counts(tx)
    failing, paused = queue_term.troubled(tx)
    age_s = 0.0 if oldest is None else tx.now - oldest
    text = f"{count} messages wait" + (f", the oldest for {age_s / 3600:.1f} h" if count else "")
    if failing:
        text += f"; {failing} domains don't answer"
    if paused:
        text += f"; {paused} domains are paused"
    if age_s > house.settings.queue.delay_notice or (failing and count):
        return warning(subject, text, "mssmail queue stats, then mssmail queue list --domain DOMAIN")
    return note(subject, text, "mssmail queue resume-domain DOMAIN") if paused else ok(subject, text)


def _held(tx: Transaction) -> Finding:
    """A password in wrong hands sends a lot."""
    subject, count = "sending limits", sendings.held_since(tx, int(tx.now) - DAY)
    if not count:
        return ok(subject, "nobody reached one in the last day")
    remedy = "mssmail audit search --kind sending-held; then account revoke-all and a new password, or higher limits"
    return warning(subject, f"{count} people reached one in the last day: a stolen password looks like that", remedy)


async def _database(house: House) -> Finding:
    subject = "database"
    faults = await house.read.run(lambda tx: health.quick_check(tx, CHECK_S, house.clock.monotonic))
    if faults is None:
        later = "PRAGMA quick_check by sqlite3 at a quiet hour"
        return note(subject, f"sound as far as {CHECK_S:.0f} s of checking could tell", later)
    if faults:
        return error(subject, f"damaged: {faults[0]}", "stop the server, keep a copy, restore the last backup")
    return ok(subject, "sound")


def _clock(tx: Transaction) -> Finding:
    last_ms = health.last_event_ms(tx)
    back_s = 0.0 if last_ms is None else last_ms / 1000 - tx.now
    if back_s > CLOCK_BACK_S:
        return error(
            "clock",
            f"it is {back_s:.0f} s before the trail's last event: it was set back, or was wrong then",
            "set it right before mail is taken: terms and codes go by it",
        )
    return ok("clock", f"{utc(tx.now):%Y-%m-%d %H:%M:%S}Z, after all that the trail holds")


def _checkpoint(tx: Transaction, house: House, noted: tuple[int, bytes] | None, *, running: bool) -> Finding:
    subject, last = "trail's checkpoint", trail.last_checkpoint(tx)
    if noted is not None and (last is None or last.number < noted[0]):
        text = f"checkpoint {noted[0]} is noted in the key store and missing: the database is an older copy, or was cut"
        return error(subject, text, "mssmail audit verify; ask who restored what")
    untied_ms = health.oldest_untied_ms(tx)
    late_s = 0.0 if untied_ms is None else tx.now - untied_ms / 1000 - house.settings.audit.checkpoint_interval
    if running and late_s > _OVERDUE_S:
        held = health.lease_until_ms(tx, LEASE) > tx.now * 1000
        why = "the lease is held" if held else "nobody holds the lease"
        return error(subject, f"{late_s:.0f} s late, and {why}", "read the log for checkpoint; restart the server")
    if last is None:
        return note(subject, "none yet", "the first is signed when the server runs")
    return ok(subject, f"number {last.number}, of {utc(last.at_ms / 1000):%Y-%m-%d %H:%M:%S}Z")


def _purge(tx: Transaction, house: House, last: int | None, *, running: bool) -> Finding:
    subject = "purge"
    due, every = periods.count_due(tx, int(tx.now))
    text = "has never run" if last is None else f"last run {utc(last):%Y-%m-%d %H:%M}Z"
    late_s = 0.0 if last is None else tx.now - last - house.settings.retention.interval
    if due and late_s > _OVERDUE_S:
        found = f"{text}; {due} of {every} messages are past their term"
        if not running:
            return warning(subject, found, "start the server, or mssmail retention run")
        return error(
            subject,
            f"{found}: it was stopped by a guard, or fails",
            "check the clock and retention.*; mssmail retention preview; then retention run --allow-shrink",
        )
    return Finding(Severity.OK, subject, f"{text}; {due} of {every} messages are due")
