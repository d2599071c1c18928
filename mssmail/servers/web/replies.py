"""What HTTP says to each refusal of the domain: a status, and a sentence in French and in English.

One total table. Details of a refusal stay in the trail.
"""

from dataclasses import dataclass
from typing import Final

from mssmail.base.refusal import Reason
from mssmail.servers.web.words import Language


@dataclass(frozen=True, slots=True)
class Reply:
    """`status`: HTTP's (RFC 9110 §15)."""

    status: int
    french: str
    english: str

    def text(self, language: Language) -> str:
        return self.french if language is Language.FRENCH else self.english


_NOT_HERE: Final = Reply(400, "Cette opération ne se fait pas ici.", "That isn't done here.")
"""Reasons that belong to sending, mailboxes or administration, and that no page meets yet."""
_WRONG: Final = Reply(
    403,
    "Adresse, mot de passe ou code incorrect. Chaque code ne sert qu'une fois : attendez le suivant.",
    "Wrong address, password or code. Each code serves only once: wait for the next one.",
)
_LATER: Final = Reply(
    503, "Service indisponible pour le moment ; réessayez plus tard.", "Not available just now; try again later."
)

REPLIES: Final[dict[Reason, Reply]] = {
    # recipients
    Reason.NOT_REGISTERED: _NOT_HERE,
    Reason.STRUCK_OFF: Reply(
        403,
        "Vous ne figurez plus dans l'Annuaire Santé : contactez votre opérateur.",
        "You are no longer in the health directory: contact your operator.",
    ),
    Reason.OUTSIDE_TRUST: _NOT_HERE,
    Reason.RELAY: _NOT_HERE,
    Reason.PATIENT: _NOT_HERE,
    Reason.OPERATOR_CERTIFICATE: _NOT_HERE,
    Reason.NOT_LISTED: _NOT_HERE,
    Reason.OWN_DOMAIN: _NOT_HERE,
    Reason.MISALIGNED: _NOT_HERE,
    Reason.NULL_SENDER: _NOT_HERE,
    Reason.NO_MAILBOX: _NOT_HERE,
    Reason.SUSPENDED: Reply(
        403, "Boîte suspendue : contactez votre opérateur.", "Mailbox suspended: contact your operator."
    ),
    Reason.OVER_QUOTA: _NOT_HERE,
    Reason.DIRECTORY_STALE: _LATER,
    # sign-in
    Reason.CREDENTIALS: _WRONG,
    Reason.CODE_USED: _WRONG,
    Reason.GRANT_ENDED: _WRONG,
    Reason.LOCKED: Reply(
        429,
        "Trop d'échecs : attendez quelques minutes, ou connectez-vous avec votre carte ou votre certificat.",
        "Too many failures: wait some minutes, or sign in with your card or certificate.",
    ),
    Reason.CERTIFICATE: Reply(
        403,
        "Certificat refusé : révoqué, périmé, ou sans boîte ici.",
        "Certificate refused: revoked, out of date, or of nobody with a mailbox here.",
    ),
    Reason.SOURCE: Reply(
        403,
        "Ce compte ne se connecte pas depuis cette adresse IP.",
        "This account may not sign in from this IP address.",
    ),
    Reason.NOT_DELEGATED: Reply(403, "Cette boîte ne vous est pas déléguée.", "That mailbox isn't delegated to you."),
    Reason.NO_RIGHT: Reply(403, "Votre délégation ne donne pas ce droit.", "Your delegation doesn't give that right."),
    Reason.DELEGATION: Reply(400, "Cette délégation n'est pas possible.", "That delegation can't be given."),
    Reason.MECHANISM: Reply(
        403,
        "Cette boîte ne s'ouvre pas de cette façon : utilisez son certificat.",
        "This mailbox isn't opened in this way: use its certificate.",
    ),
    Reason.TOKEN: Reply(
        400,
        "Ce lien ou ce code n'est plus valable : demandez-en un nouveau.",
        "This link or code is no longer good: ask for a new one.",
    ),
    Reason.CLIENT: Reply(400, "Ce logiciel n'est pas enregistré ici.", "This program isn't registered here."),
    Reason.SCOPE: Reply(400, "L'accès demandé n'est pas proposé ici.", "The access asked for isn't given here."),
    # sending
    Reason.NOT_YOUR_ADDRESS: _NOT_HERE,
    Reason.TOO_LARGE: Reply(413, "La demande est trop volumineuse.", "The request is too large."),
    Reason.TOO_MANY_RECIPIENTS: _NOT_HERE,
    Reason.BARE_NEWLINE: _NOT_HERE,
    Reason.LINE_TOO_LONG: _NOT_HERE,
    Reason.HEADERS_TOO_LARGE: _NOT_HERE,
    Reason.BAD_HEADERS: _NOT_HERE,
    Reason.LOOP: _NOT_HERE,
    Reason.TOO_MANY_MESSAGES: _NOT_HERE,
    Reason.SENDING_LIMIT: _NOT_HERE,
    # mailboxes and messages
    Reason.FOLDER_MISSING: _NOT_HERE,
    Reason.FOLDER_EXISTS: _NOT_HERE,
    Reason.FOLDER_FIXED: _NOT_HERE,
    Reason.FOLDER_NAME: _NOT_HERE,
    Reason.FOLDER_LIMIT: _NOT_HERE,
    Reason.KEYWORD_LIMIT: _NOT_HERE,
    Reason.MESSAGE_GONE: _NOT_HERE,
    Reason.READ_ONLY: _NOT_HERE,
    Reason.SEARCH_CHARSET: _NOT_HERE,
    Reason.SEARCH_TOO_WIDE: _NOT_HERE,
    # state
    Reason.STORAGE_FULL: _LATER,
    Reason.UNAVAILABLE: _LATER,
    Reason.ACCOUNT_EXISTS: _NOT_HERE,
    Reason.ACCOUNT_MISSING: _NOT_HERE,
    Reason.NOT_ELIGIBLE: _NOT_HERE,
    Reason.WEAK_PASSWORD: Reply(
        400,
        "Mot de passe trop facile à deviner : allongez-le, sans mots courants, dates ni votre nom.",
        "The password is too easily guessed: make it longer, without common words, dates or your name.",
    ),
    Reason.TERM: _NOT_HERE,
    Reason.RULE: _NOT_HERE,
    Reason.IMPORT: _NOT_HERE,
    Reason.NOT_PERMITTED: _NOT_HERE,
    Reason.ADMINISTRATOR: _NOT_HERE,
    Reason.ORDER: _NOT_HERE,
}
