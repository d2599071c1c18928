"""Delivery reports as tests read them: in the queue, in the trail, and by Python's own parser."""

import email
import email.policy
from email.message import EmailMessage, Message

from mssmail.base.address import Address
from mssmail.base.ids import POST, BodyId, Period
from mssmail.base.principal import Beyond
from mssmail.base.relay import Wishes
from mssmail.crypto.body import BodyOpener
from mssmail.flow.queue import Queue
from mssmail.store import trail
from tests.support.houses import Home


def queued(home: Home) -> list[tuple[Address | None, Wishes, Beyond, bytes]]:
    """What is to go to other operators: sender, wishes, recipient, octets."""
    driver, keys, seals = home.tx().driver, home.house.keys, Queue(home.house).seals
    rows = driver.execute(
        "SELECT m.queue_id, m.body_id, m.period, m.sealed, r.sealed, w.wrapped, b.data FROM queue_messages m"
        " JOIN queue_recipients r USING (queue_id) JOIN bodies b USING (body_id)"
        f" JOIN wraps w ON w.body_id = m.body_id AND w.account_id = {POST}"
    ).fetchall()
    found = []
    for queue_id, body, period, envelope, recipient, wrapped, data in rows:
        key = keys.unwrap(POST, BodyId(body), Period(period), wrapped)
        said = seals.envelope(queue_id, envelope)
        octets = BodyOpener(key, BodyId(body), 1).open(0, data)
        found.append((said.sender, said.wishes, seals.recipient(queue_id, 1, recipient), octets[said.skipped_octets :]))
    return found


def events(home: Home) -> list[dict[str, object]]:
    found = [home.house.trail.open(row) for row in trail.events_of(home.tx(), home.chain, 0, 10_000)]
    return [said for said in found if "about" in str(said)]


def status_of(part: EmailMessage) -> list[Message]:
    """The blocks of a delivery status: of the message, then of each recipient (RFC 3464 §2.1)."""
    blocks = part.get_payload()
    assert isinstance(blocks, list)
    return [block for block in blocks if isinstance(block, Message)]


def read(octets: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    """As Python's own parser reads it: the message, and the parts of a report (RFC 6522 §3)."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.get_content_type() == "multipart/report"
    parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
    return message, parts
