"""Mail as it is taken from people and from other operators, in a town; what came of it in boxes and in the queue."""

from dataclasses import dataclass

from mssmail.base.address import Address
from mssmail.base.dn import DistinguishedName
from mssmail.base.ids import POST, BodyId, Period
from mssmail.base.principal import LetIn, Peer
from mssmail.base.refusal import Refusal
from mssmail.base.relay import Wishes
from mssmail.base.section import Section
from mssmail.flow.house import House
from mssmail.flow.operators import Operators
from mssmail.flow.patients import Patients
from mssmail.flow.queue import Seals
from mssmail.flow.read import Reader, Sealed, offsets_of, read_sealed
from mssmail.flow.receive import Reception, Tls
from mssmail.flow.submit import Submission
from mssmail.flow.view import open_view
from mssmail.store.interface import Transaction
from tests.support.town import CLAIRE, HOSPITAL, PAUL, Town, address
from tests.support.whitelist import OPERATOR

DOCTOR = Address("dr.house", HOSPITAL)
_NOBODY = Wishes()


def letter(sender: str, *to: str, subject: str = "Bilan", head: str = "", text: str = "Bonjour.") -> bytes:
    """A plain message."""
    fields = f"From: {sender}\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\nMessage-ID: <1@{sender}>\r\n{head}"
    return f"{fields}\r\n{text}\r\n".encode()


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits for other operators."""

    sender: str
    """Empty: the null one."""
    to: tuple[str, ...]
    octets: bytes
    account: int


class Mailing:
    """Both ways into a town."""

    def __init__(self, town: Town, house: House | None = None) -> None:
        self.town = town
        self.house = house or town.house

    async def submit(self, message: bytes, *to: Address, sender: str = CLAIRE, null: bool = False) -> str:
        """From one of the town's people, signed in; the queue id. Raises Refusal."""
        self.town.clock.advance(30)
        principal = await self.town.enter(sender, protocol="smtp")
        recipients = self.let_in(await self.town.gate.recipients(principal, to or (address(PAUL),)))
        sent = None if null else address(sender)
        submission = Submission(self.house, self.town.gate, principal, sent, recipients, _NOBODY)
        await submission.write(message)
        return await submission.finish()

    async def receive(self, message: bytes, *to: Address, sender: Address | None = DOCTOR) -> str:
        """From the hospital; the queue id. Raises Refusal."""
        name = DistinguishedName.parse(OPERATOR)
        assert name is not None
        peer = Peer(name, "192.0.2.77", "smtp.hopital.mssante.fr")
        decided = await self.town.gate.recipients_from(peer, sender, to or (address(PAUL),))
        operators = Operators(self.house, self.town.standing, Patients(self.house))
        recipients, tls = self.let_in(decided), Tls("TLSv1.3", "x")
        reception = Reception(self.house, operators, peer, sender, recipients, _NOBODY, protocol="ESMTPS", tls=tls)
        await reception.write(message)
        return await reception.finish()

    def let_in(self, decided: list[LetIn | Refusal]) -> list[LetIn]:
        for each in decided:
            if isinstance(each, Refusal):
                raise each
        return [each for each in decided if not isinstance(each, Refusal)]

    async def inbox(self, local: str) -> list[bytes]:
        """The messages in somebody's INBOX."""
        self.town.clock.advance(30)
        view = await open_view(self.house, await self.town.enter(local), "INBOX", read_only=True)
        reader, found = Reader(self.house, view), []
        async for fetched in reader.messages(range(len(view)), [(Section(), None)]):
            piece = fetched.pieces[0]
            assert piece is not None
            found.append(piece.data if piece.data is not None else b"".join([p async for p in reader.stream(piece)]))
        return found

    def queued(self) -> list[Queued]:
        """What is in the queue, in the order it came."""
        tx, seals = self.town.home.tx(), Seals(self.house.keys)
        rows = tx.driver.execute("SELECT queue_id, body_id, period, account_id, sealed FROM queue_messages").fetchall()
        found = []
        for queue_id, body, period, account, sealed in sorted(rows):
            envelope = seals.envelope(queue_id, sealed)
            query = "SELECT number, sealed FROM queue_recipients WHERE queue_id = ? ORDER BY number"
            people = [seals.recipient(queue_id, n, s) for n, s in tx.driver.execute(query, [queue_id]).fetchall()]
            octets = self._octets(tx, BodyId(body), Period(period))[envelope.skipped_octets :]
            to = tuple(str(each.address) for each in people)
            found.append(Queued(str(envelope.sender or ""), to, octets, account))
        return found

    def _octets(self, tx: Transaction, body: BodyId, period: Period) -> bytes:
        query = "SELECT wrapped FROM wraps WHERE body_id = ? AND account_id = ? AND period = ?"
        (wrapped,) = tx.driver.execute(query, [body, POST, period]).fetchone()
        query = "SELECT size_octets, place, lengths FROM bodies WHERE body_id = ?"
        size, place, lengths = tx.driver.execute(query, [body]).fetchone()
        key = self.house.keys.unwrap(POST, body, period, wrapped)
        return read_sealed(tx, self.house.bodies, Sealed(body, key, place == 0, offsets_of(lengths)), 0, size)

    def events(self, kind: str) -> list[dict[str, object]]:
        """The trail's events of a kind, details among what else they say."""
        found = []
        for label, _, _, said in self.town.events():
            details = said.get("d", {})
            if label == kind:
                assert isinstance(details, dict)
                found.append({**said, **details})
        return found
