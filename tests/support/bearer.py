"""A town whose people sign in by token too: its own tokens, and those of an OpenID provider that is played."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mssmail.base.principal import Door, Principal
from mssmail.base.secret import Secret
from mssmail.identity.tokens import Issued, Tokens
from mssmail.settings.model import Auth, OpenId, Settings
from mssmail.store import accounts, tokens
from mssmail.store.interface import Transaction
from tests.support.provider import PlayedProvider
from tests.support.town import CLAIRE, FAST, Town, address


class TokenTown(Town):
    """`settle_in`, then `trust`."""

    def __init__(self, folder: Path, auth: Auth = FAST) -> None:
        super().__init__(folder, auth)
        self.played = PlayedProvider(folder / "provider", self.clock)
        self.tokens = Tokens(self.house.keys)

    def trust(self, *, end_with_token: bool = False, **rules: Any) -> Settings:
        """Trust the provider by such rules from now on."""
        openid = OpenId(providers=(self.played.rules(**rules),), end_with_token=end_with_token)
        settings = replace(self.house.settings, openid=openid)
        self.house.renew(settings)
        self.login.renew()
        return settings

    def grant(self, local: str = CLAIRE, scope: str = "imap smtp", client: str = "thunderbird") -> Issued:
        """Tokens of our own, as the authorization server gives them."""
        digest = self.standing.credentials.address_digest(address(local))
        rules = self.house.settings.oauth

        def work(tx: Transaction) -> Issued:
            row = accounts.by_address(tx, digest)
            assert row is not None
            until = int(tx.now) + rules.refresh_lifetime
            family = tokens.authorize(tx, row.account_id, client, scope, epoch=row.epoch, ends_at=until)
            return self.tokens.issue(tx, family, rules)

        return self.home.write.run_blocking(work)

    def revoke(self, issued: Issued) -> None:
        """Take a whole family back."""
        self.home.write.run_blocking(lambda tx: tokens.revoke(tx, issued.of.authorization_id))

    async def by_token(
        self, token: str | Secret, authzid: str = "", *, client: str = "192.0.2.1", protocol: str = "imap"
    ) -> Principal:
        given = token if isinstance(token, Secret) else Secret(token)
        return await self.login.by_token(Door(protocol, client), authzid, given)

    def close(self) -> None:
        self.login.close()
        self.played.close()
        super().close()
