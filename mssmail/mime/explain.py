"""What became of a message, to the person who wrote it: what happened and what to do, in French and in English.

By what this server found itself, else by the enhanced status code that the other one gave (RFC 3463), the closest known
one first: subject.detail, then subject. Sentences name no program, no number and nobody; `report` puts the recipient
beside them.
"""

from dataclasses import dataclass
from typing import Final

from mssmail.base.relay import Cause


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same in both languages."""

    fr: str
    """What happened, true also while the server goes on trying."""
    en: str
    do_fr: str
    """What to do, once it doesn't any more."""
    do_en: str


_CHECK: Final = (
    "cherchez l'adresse exacte dans l'annuaire, puis envoyez de nouveau le message.",
    "look the exact address up in the directory, then send the message again.",
)
_OTHERWISE: Final = ("joignez le destinataire autrement.", "reach the recipient in another way.")
_LATER: Final = (
    "s'il y a urgence, joignez le destinataire autrement ; sinon, envoyez de nouveau le message plus tard.",
    "where it is urgent, reach the recipient in another way; else send the message again later.",
)
_SUPPORT: Final = (
    "joignez le destinataire autrement, et prévenez votre support.",
    "reach the recipient in another way, and tell your support.",
)
_VERIFY: Final = (
    "vérifiez l'adresse ; si elle est exacte, prévenez votre support.",
    "check the address; if it is right, tell your support.",
)
_SMALLER: Final = (
    "envoyez moins de pièces jointes à la fois.",
    "send fewer attachments at a time.",
)

_GENERAL: Final = Sentence(
    "Le serveur du destinataire n'accepte pas le message.", "The recipient's server doesn't take the message.", *_VERIFY
)
_UNREACHED: Final = Sentence(
    "Le serveur du destinataire ne répond pas.", "The recipient's server doesn't answer.", *_LATER
)
_TOO_LARGE: Final = Sentence(
    "Le message est trop gros pour le serveur du destinataire.",
    "The message is too large for the recipient's server.",
    *_SMALLER,
)
_LOOP: Final = Sentence(
    "Le message tourne en rond entre des serveurs.", "The message goes round in circles between servers.", *_SUPPORT
)
_ACCENTS: Final = Sentence(
    "L'adresse ou le message contient des lettres accentuées là où le serveur du destinataire n'en accepte pas.",
    "The address or the message has accented letters where the recipient's server takes none.",
    "cherchez dans l'annuaire une adresse sans accent.",
    "look in the directory for an address without accents.",
)
_FORM: Final = Sentence(
    "Le serveur du destinataire ne sait pas lire la forme de ce message.",
    "The recipient's server can't read this message's form.",
    *_SUPPORT,
)
_LATE: Final = Sentence(
    "Le serveur du destinataire n'a pas pris le message dans le délai prévu.",
    "The recipient's server didn't take the message in time.",
    *_LATER,
)
_UNPROTECTED: Final = Sentence(
    "Le serveur du destinataire ne protège pas les échanges comme il le faut ; rien ne lui a été transmis.",
    "The recipient's server doesn't protect exchanges as it must; nothing was handed to it.",
    *_SUPPORT,
)
_STRANGER: Final = Sentence(
    "Le serveur qui a répondu n'a pas prouvé qu'il est celui du destinataire ; rien ne lui a été transmis.",
    "The server that answered didn't prove to be the recipient's; nothing was handed to it.",
    *_SUPPORT,
)
_ENDED: Final = Sentence(
    "L'échange avec le serveur du destinataire s'est interrompu.",
    "The exchange with the recipient's server was cut short.",
    *_LATER,
)
_NO_SERVER: Final = Sentence(
    "Le serveur du destinataire est introuvable pour le moment.",
    "The recipient's server can't be found for now.",
    *_LATER,
)

BY_STATUS: Final = {
    "1": Sentence("Cette adresse n'est pas acceptée.", "This address isn't accepted.", *_CHECK),
    "1.1": Sentence(
        "Cette boîte n'existe pas chez le destinataire.", "There is no such mailbox at the recipient's.", *_CHECK
    ),
    "1.2": Sentence(
        "Ce domaine (ce qui suit le signe @) n'existe pas ou ne reçoit pas de messages.",
        "This domain (what follows the @ sign) doesn't exist or takes no mail.",
        *_CHECK,
    ),
    "1.6": Sentence("Cette boîte a été fermée ou déplacée.", "This mailbox was closed or has moved.", *_CHECK),
    "1.8": Sentence(
        "L'opérateur du destinataire n'accepte pas votre adresse d'expéditeur.",
        "The recipient's operator doesn't accept your own address.",
        *_SUPPORT,
    ),
    "1.10": Sentence("Ce domaine ne reçoit pas de messages.", "This domain takes no mail.", *_CHECK),
    "2": Sentence(
        "La boîte du destinataire ne peut pas recevoir ce message.",
        "The recipient's mailbox can't take this message.",
        *_OTHERWISE,
    ),
    "2.1": Sentence("La boîte du destinataire est désactivée.", "The recipient's mailbox is disabled.", *_OTHERWISE),
    "2.2": Sentence(
        "La boîte du destinataire est pleine.",
        "The recipient's mailbox is full.",
        "prévenez le destinataire, puis envoyez de nouveau le message.",
        "tell the recipient, then send the message again.",
    ),
    "2.3": Sentence(
        "Le message est trop gros pour la boîte du destinataire.",
        "The message is too large for the recipient's mailbox.",
        *_SMALLER,
    ),
    "3": Sentence(
        "Le serveur du destinataire ne peut pas traiter ce message pour le moment.",
        "The recipient's server can't handle this message for now.",
        *_LATER,
    ),
    "3.4": _TOO_LARGE,
    "4": _UNREACHED,
    "4.6": _LOOP,
    "4.7": _LATE,
    "5.3": Sentence(
        "Le serveur du destinataire refuse autant de destinataires à la fois.",
        "The recipient's server refuses so many recipients at a time.",
        "envoyez de nouveau le message, à moins de destinataires.",
        "send the message again, to fewer recipients.",
    ),
    "6": _FORM,
    "6.7": _ACCENTS,
    "7": Sentence(
        "L'opérateur du destinataire n'accepte pas ce message.",
        "The recipient's operator doesn't accept this message.",
        *_VERIFY,
    ),
    "7.4": _UNPROTECTED,
    "7.5": _STRANGER,
    "7.13": Sentence(
        "La boîte du destinataire a été fermée par son opérateur.",
        "The recipient's mailbox was closed by its operator.",
        "cherchez dans l'annuaire à qui écrire désormais.",
        "look in the directory for whom to write to now.",
    ),
}

BY_CAUSE: Final = {
    Cause.NO_DOMAIN: Sentence(
        "Le domaine de cette adresse (ce qui suit le signe @) n'existe pas.",
        "This address's domain (what follows the @ sign) doesn't exist.",
        *_CHECK,
    ),
    Cause.NO_HOST: Sentence(
        "Le domaine de cette adresse n'a pas de serveur de messagerie.",
        "This address's domain has no mail server.",
        *_CHECK,
    ),
    Cause.NULL_MX: Sentence(
        "Le domaine de cette adresse ne reçoit pas de messages.", "This address's domain takes no mail.", *_CHECK
    ),
    Cause.LOOP: _LOOP,
    Cause.DNS_FAILED: _NO_SERVER,
    Cause.DNS_TIMED_OUT: _NO_SERVER,
    Cause.UNREACHABLE: _UNREACHED,
    Cause.NO_STARTTLS: _UNPROTECTED,
    Cause.TLS_FAILED: Sentence(
        "La liaison protégée avec le serveur du destinataire n'a pas pu être établie ; rien ne lui a été transmis.",
        "No protected connection to the recipient's server could be made; nothing was handed to it.",
        *_SUPPORT,
    ),
    Cause.CERTIFICATE: Sentence(
        "Le serveur qui a répondu n'a pas le certificat d'un opérateur MSSanté ; rien ne lui a été transmis.",
        "The server that answered has no certificate of an MSSanté operator; nothing was handed to it.",
        *_SUPPORT,
    ),
    Cause.EXPIRED: Sentence(
        "Le certificat du serveur du destinataire n'est pas en cours de validité ; rien ne lui a été transmis.",
        "The certificate of the recipient's server is out of date; nothing was handed to it.",
        *_SUPPORT,
    ),
    Cause.REVOKED: Sentence(
        "Le certificat du serveur du destinataire a été révoqué ; rien ne lui a été transmis.",
        "The certificate of the recipient's server was revoked; nothing was handed to it.",
        *_SUPPORT,
    ),
    Cause.NOT_LISTED: Sentence(
        "D'après la liste blanche MSSanté, le serveur qui a répondu n'est pas celui de ce domaine ; rien ne lui a été "
        "transmis.",
        "By the MSSanté white list, the server that answered isn't this domain's; nothing was handed to it.",
        *_SUPPORT,
    ),
    Cause.UNJUDGED: Sentence(
        "Votre serveur n'a pas pu vérifier l'identité de celui du destinataire ; rien ne lui a été transmis.",
        "Your server couldn't verify the identity of the recipient's; nothing was handed to it.",
        *_SUPPORT,
    ),
    Cause.LOST: _ENDED,
    Cause.TIMED_OUT: _ENDED,
    Cause.GARBAGE: Sentence(
        "Le serveur du destinataire ne se comporte pas comme un serveur de messagerie.",
        "The recipient's server doesn't behave as a mail server.",
        *_SUPPORT,
    ),
    Cause.TOO_LARGE: _TOO_LARGE,
    Cause.NO_UTF8: _ACCENTS,
    Cause.NO_EIGHT_BIT: _FORM,
    Cause.NO_REQUIRE_TLS: Sentence(
        "Le message exige une protection jusqu'à sa remise, que le serveur du destinataire ne garantit pas ; rien ne "
        "lui a été transmis.",
        "The message requires protection up to its delivery, which the recipient's server doesn't vouch for; nothing "
        "was handed to it.",
        *_SUPPORT,
    ),
    Cause.TOO_LATE: Sentence(
        "Le message n'a pas pu être remis dans le délai que vous aviez fixé.",
        "The message couldn't be delivered within the time that you had set.",
        *_LATER,
    ),
    Cause.MALFORMED: Sentence(
        "La forme de ce message ne permet pas de le transmettre.",
        "This message's form is such that it can't be sent on.",
        *_SUPPORT,
    ),
    Cause.FAULT: Sentence(
        "Votre serveur n'a pas pu transmettre le message, par sa propre faute.",
        "Your server couldn't send the message on, by a fault of its own.",
        *_SUPPORT,
    ),
}  # fmt: skip
"""What this server found; what the other one said is explained by its status."""


def explain(status: str, cause: Cause | None = None) -> Sentence:
    """The sentence for what was found, else for a status as `5.1.1`; a general one for what isn't known."""
    if cause in BY_CAUSE:
        return BY_CAUSE[cause]
    _, _, rest = status.partition(".")
    subject = rest.partition(".")[0]
    return BY_STATUS.get(rest) or BY_STATUS.get(subject) or _GENERAL
