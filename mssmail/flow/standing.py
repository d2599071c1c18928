"""Whether somebody's right to be here stands: directory, certificate, revocation, the account's state.

Knows what gives and ends a right; never ends a session itself (`sessions` does) nor signs anybody in (`login`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.flow.responder import Responder
from mssmail.identity.certificates import SIGN_IN, Certificates, End, Holder, Judged, Link, Operator, Purpose
from mssmail.identity.credentials import Credentials, Dossier
from mssmail.identity.fault import Cause, Unfit
from mssmail.identity.ocsp import Status
from mssmail.metrics.registry import counter
from mssmail.store.accounts import AccountRow, State

Found = Mapping[int, tuple[int, State, bytes, str] | None]
"""Epoch, state, sealed dossier and kind by account, as `accounts.standing` reads them."""


ASK_AGAIN_S: Final = 60.0
"""How often `ask_again` is called; what is asked then is what `trust.ocsp_max_age` says."""

_refused: Final = counter(
    "mssmail_certificates_refused_total", "Certificates refused, at sign-in and of operators.", labels=("reason",)
)


class Standing:
    """Looks in the directory in service and the revocation lists. On the loop: each look takes microseconds."""

    def __init__(self, house: House, certificates: Certificates) -> None:
        self._house = house
        self.certificates = certificates
        self.credentials = Credentials(house.keys)
        self._responder = Responder(house, certificates)
        self._news = False
        """Whether OCSP has said since the last `renew_if_changed` that a certificate is revoked."""
        self._lately: dict[Link, Judged] = {}
        self._watched: dict[Link, Judged] = {}

    def close(self) -> None:
        """End what is asked of others."""
        self._responder.close()

    async def judge(self, certificate: bytes | None) -> Holder:
        """Whom the certificate (DER) that a client showed names, if it is good now. Raises Refusal(CERTIFICATE).

        With `trust.ocsp` its responder is asked, unless it answered lately: then this waits `trust.ocsp_timeout` at
        most.
        """
        holder = await self._judged(certificate, SIGN_IN)
        assert not isinstance(holder, Operator)
        return holder

    async def judge_operator(self, certificate: bytes | None, end: End = End.CLIENT) -> Operator:
        """The same for another operator's, which calls or is called (`end`). Raises Unfit, a Refusal(CERTIFICATE)."""
        holder = await self._judged(certificate, (Purpose.OPERATOR,), end)
        assert isinstance(holder, Operator)
        return holder

    async def _judged(
        self, certificate: bytes | None, purposes: Sequence[Purpose], end: End = End.CLIENT
    ) -> Holder | Operator:
        try:
            return await self._judge(certificate, purposes, end)
        except Unfit as unfit:
            _refused.labels(reason=unfit.fault.cause.value).inc()
            raise

    async def _judge(self, certificate: bytes | None, purposes: Sequence[Purpose], end: End) -> Holder | Operator:
        if certificate is None:
            raise Unfit(Cause.NONE_SHOWN, "none was shown")
        judged = self.certificates.identify(certificate, purposes, end)
        asked, status = self._house.settings.trust.ocsp, None
        if asked != "off":
            self._lately[judged.links[0]] = judged
            status = await self._ask(judged)
        if status is Status.REVOKED:
            raise Unfit(Cause.REVOKED, "revoked, as OCSP says")
        if status is None and asked == "require":
            raise Unfit(Cause.NO_ANSWER, "no OCSP responder vouches for it")
        self.certificates.check_lists(judged, vouched=status is Status.GOOD)
        return judged.holder

    async def _ask(self, judged: Judged) -> Status | None:
        status = await self._responder.status(judged)
        if status is not None and self.certificates.note_revoked(*judged.links[0], revoked=status is Status.REVOKED):
            self._news = True
        return status

    async def ask(self, certificate: bytes) -> Status | None:
        """What OCSP says of a certificate that is good otherwise. Raises Refusal(CERTIFICATE)."""
        return await self._ask(self.certificates.identify(certificate))

    async def ask_again(self, present: AbstractSet[Link]) -> None:
        """Ask OCSP about the certificates that sessions were opened with (`present`) and whose answers have lapsed."""
        # who signed in since the last time may not have a session yet
        watched = {link: judged for link, judged in self._watched.items() if link in present}
        self._watched, self._lately = watched | self._lately, {}
        if self._house.settings.trust.ocsp != "off":
            for judged in list(self._watched.values()):
                await self._ask(judged)

    def reload_if_changed(self) -> bool:
        """Take a new directory, new anchors or revocation lists where there are any; whether there were. Blocks."""
        directory = self._house.directory.reload_if_changed()
        return self.certificates.reload_if_changed() or directory

    async def renew_if_changed(self) -> bool:
        """The same for a server: what takes long to read is read beside the loop."""
        changed, self._news = self._house.directory.reload_if_changed() or self._news, False
        if self._house.white_list.changed():
            work = self._house.white_list.reload_if_changed
            await asyncio.get_running_loop().run_in_executor(self._house.crypto_work, work)
        if not self.certificates.changed():
            return changed
        loop = asyncio.get_running_loop()
        trusted = await loop.run_in_executor(self._house.crypto_work, self.certificates.read_anew)
        return (trusted is not None and self.certificates.take(trusted)) or changed

    def directory_stale(self) -> bool:
        """Whether none was loaded for `directory.max_age`: no recipient and no new box can be vouched for.

        What an administrator loads by hand counts from then, however old its date: that is alarmed, not refused.
        Sign-in and reading go on by what it last said. Raises Refusal(UNAVAILABLE) while there is none.
        """
        return self._house.directory.loaded_s() > self._house.settings.directory.max_age

    def struck_off(self, dossier: Dossier) -> bool:
        """Whether the newest extract lacks the holder. Raises Refusal(UNAVAILABLE) while there is no directory.

        A professional must be in it with an allowed profession, a structure must hold a box; an employee must be on a
        list that the settings allow, and so must their structure.
        """
        if dossier.kind is BoxKind.EMP and not self._house.settings.delegation.local_list:
            return True
        directory, allowed = self._house.directory, self._house.settings.directory.allowed_professions
        if dossier.kind is BoxKind.PER:
            return not directory.holder_active(dossier.holder, allowed)
        return directory.structure(dossier.holder) is None

    def listed(self, row: AccountRow) -> bool:
        """Whether an account's holder isn't struck off; not asked of one that isn't open. Raises Refusal(UNAVAILABLE)
        while there is no directory.
        """
        return row.state is not State.OPEN or not self.struck_off(self.credentials.dossier(row.account_id, row.sealed))

    def reason_to_end(self, principal: Principal, found: Found, alive: AbstractSet[int]) -> Reason | None:
        """Why a session must end, or None. While no directory can be read nobody is taken for struck off.

        `alive`: the authorizations that stand, out of those that sessions were opened by.
        """
        epochs = 0
        for account in (principal.person, principal.account):
            standing = found.get(account)
            if standing is None:
                return Reason.ACCOUNT_MISSING
            epoch, state, _, _ = standing
            if state is not State.OPEN:
                return Reason.SUSPENDED
            epochs += epoch
        if epochs != principal.epoch:
            return Reason.CREDENTIALS
        if principal.authorization is not None and principal.authorization not in alive:
            return Reason.TOKEN
        if principal.until is not None and self._house.clock.now() >= principal.until:
            return Reason.TOKEN
        serial, issuer = principal.serial, principal.issuer
        if serial is not None and issuer is not None and self.certificates.is_revoked(issuer, serial):
            return Reason.CERTIFICATE
        return Reason.STRUCK_OFF if self._any_struck_off(principal, found) else None

    def _any_struck_off(self, principal: Principal, found: Found) -> bool:
        try:
            return any(
                standing is not None and self.struck_off(self.credentials.dossier(AccountId(account), standing[2]))
                for account, standing in ((a, found.get(a)) for a in {principal.person, principal.account})
            )
        except Refusal:
            return False
