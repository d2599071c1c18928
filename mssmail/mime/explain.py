"""What a delivery status means to the person who wrote: what happened and what to do, in French and in English.

Keyed by enhanced status code (RFC 3463), the closest known one first: class.subject.detail, subject.detail, subject.
Sentences name no program, no number and nobody; `report` puts the recipient beside them.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same in both languages: what happened, then what to do."""

    fr: str
    en: str


_GENERAL: Final = Sentence(
    "Le serveur du destinataire a refusé le message. Vérifiez l'adresse ; si elle est exacte, prévenez votre support.",
    "The recipient's server refused the message. Check the address; if it is right, tell your support.",
)
BY_STATUS: Final = {
    "1": Sentence(
        "Cette adresse n'est pas acceptée. Vérifiez-la dans l'annuaire, puis envoyez de nouveau le message.",
        "This address isn't accepted. Check it in the directory, then send the message again.",
    ),
    "1.1": Sentence(
        "Cette boîte n'existe pas chez le destinataire. Cherchez l'adresse exacte dans l'annuaire.",
        "There is no such mailbox at the recipient's. Look the exact address up in the directory.",
    ),
    "1.2": Sentence(
        "Ce domaine n'existe pas ou ne reçoit pas de messages. Vérifiez ce qui suit le signe @.",
        "This domain doesn't exist or takes no mail. Check what follows the @ sign.",
    ),
    "1.6": Sentence(
        "Cette boîte a été fermée ou déplacée. Cherchez la nouvelle adresse dans l'annuaire.",
        "This mailbox was closed or has moved. Look the new address up in the directory.",
    ),
    "1.8": Sentence(
        "L'opérateur du destinataire n'accepte pas votre adresse d'expéditeur. Prévenez votre support.",
        "The recipient's operator doesn't accept your own address. Tell your support.",
    ),
    "2": Sentence(
        "La boîte du destinataire ne peut pas recevoir ce message. Joignez-le autrement.",
        "The recipient's mailbox can't take this message. Reach them in another way.",
    ),
    "2.1": Sentence(
        "La boîte du destinataire est désactivée. Joignez-le autrement.",
        "The recipient's mailbox is disabled. Reach them in another way.",
    ),
    "2.2": Sentence(
        "La boîte du destinataire est pleine. Prévenez-le, puis envoyez de nouveau le message.",
        "The recipient's mailbox is full. Tell them, then send the message again.",
    ),
    "2.3": Sentence(
        "Le message est trop gros pour la boîte du destinataire. Envoyez moins de pièces jointes à la fois.",
        "The message is too large for the recipient's mailbox. Send fewer attachments at a time.",
    ),
    "3": Sentence(
        "Le serveur du destinataire ne peut pas traiter ce message pour le moment. Essayez plus tard.",
        "The recipient's server can't handle this message for now. Try later.",
    ),
    "3.4": Sentence(
        "Le message est trop gros pour le serveur du destinataire. Envoyez moins de pièces jointes à la fois.",
        "The message is too large for the recipient's server. Send fewer attachments at a time.",
    ),
    "4": Sentence(
        "Le serveur du destinataire est injoignable. Joignez le destinataire autrement s'il y a urgence.",
        "The recipient's server can't be reached. Reach the recipient in another way where it is urgent.",
    ),
    "4.6": Sentence(
        "Le message tournait en rond entre des serveurs. Prévenez votre support.",
        "The message was going round in circles between servers. Tell your support.",
    ),
    "4.7": Sentence(
        "Le serveur du destinataire n'a pas pris le message dans le délai prévu. Joignez le destinataire autrement, "
        "ou envoyez de nouveau le message plus tard.",
        "The recipient's server didn't take the message in time. Reach the recipient in another way, or send the "
        "message again later.",
    ),
    "6": Sentence(
        "Le serveur du destinataire ne sait pas lire la forme de ce message. Prévenez votre support.",
        "The recipient's server can't read this message's form. Tell your support.",
    ),
    "6.7": Sentence(
        "L'adresse contient des lettres accentuées, que le serveur du destinataire n'accepte pas. "
        "Cherchez une adresse sans accent.",
        "The address has accented letters, which the recipient's server doesn't take. Look for one without.",
    ),
    "7": Sentence(
        "L'opérateur du destinataire n'accepte pas ce message. Vérifiez l'adresse ; si elle est exacte, prévenez "
        "votre support.",
        "The recipient's operator doesn't accept this message. Check the address; if it is right, tell your support.",
    ),
    "7.4": Sentence(
        "Le serveur du destinataire ne protège pas les échanges comme il le faut ; rien ne lui a été transmis. "
        "Prévenez votre support.",
        "The recipient's server doesn't protect exchanges as it must; nothing was handed to it. Tell your support.",
    ),
    "7.5": Sentence(
        "Le serveur qui a répondu n'a pas prouvé qu'il est celui du destinataire ; rien ne lui a été transmis. "
        "Prévenez votre support.",
        "The server that answered didn't prove to be the recipient's; nothing was handed to it. Tell your support.",
    ),
    "7.25": Sentence(
        "Ce domaine ne fait plus partie de l'espace de confiance MSSanté. Cherchez une autre adresse dans l'annuaire.",
        "This domain is no longer of the trust space MSSanté. Look another address up in the directory.",
    ),
    "7.13": Sentence(
        "Le destinataire n'est plus inscrit dans l'annuaire des professionnels. Cherchez son successeur.",
        "The recipient is no longer registered in the directory of professionals. Look for their successor.",
    ),
}  # fmt: skip


def explain(status: str) -> Sentence:
    """The sentence for a status as `5.1.1`; a general one for what isn't known."""
    _, _, rest = status.partition(".")
    subject = rest.partition(".")[0]
    return BY_STATUS.get(rest) or BY_STATUS.get(subject) or _GENERAL
