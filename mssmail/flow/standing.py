"""Whether somebody's right to be here still stands: directory, revocation, the account's state.

Knows what ends a right; never ends a session itself (`sessions` does) nor judges a sign-in (`login`).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.identity.certificates import Certificates
from mssmail.identity.credentials import Credentials, Dossier
from mssmail.store.accounts import State

Found = Mapping[int, tuple[int, State, bytes, str] | None]
"""Epoch, state, sealed dossier and kind by account, as `accounts.standing` reads them."""


class Standing:
    """Looks in the directory in service and the revocation lists. On the loop: each look takes microseconds."""

    def __init__(self, house: House, certificates: Certificates) -> None:
        self._house = house
        self.certificates = certificates
        self.credentials = Credentials(house.keys)

    def reload_if_changed(self) -> bool:
        """Take a new directory, new anchors or revocation lists where there are any; whether there were."""
        directory = self._house.directory.reload_if_changed()
        return self.certificates.reload_if_changed() or directory

    def directory_stale(self) -> bool:
        """Whether none was loaded for `directory.max_age`: no recipient and no new box can be vouched for.

        What an administrator loads by hand counts from then, however old its date: that is alarmed, not refused.
        Sign-in and reading go on by what it last said. Raises Refusal(UNAVAILABLE) while there is none.
        """
        return self._house.directory.loaded_s() > self._house.settings.directory.max_age

    def struck_off(self, dossier: Dossier) -> bool:
        """Whether the newest extract lacks the holder. Raises Refusal(UNAVAILABLE) while there is no directory.

        A professional must be in it with an allowed profession, a structure must hold a box.
        """
        directory, allowed = self._house.directory, self._house.settings.directory.allowed_professions
        if dossier.kind is BoxKind.PER:
            return not directory.holder_active(dossier.holder, allowed)
        return directory.structure(dossier.holder) is None

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
