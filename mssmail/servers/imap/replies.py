"""What IMAP says to each refusal of the domain: condition, response code, and a sentence in French and in English.

One total table. Details of a refusal stay in the trail. What breaks the grammar is answered by `wire.imap.responses`.
"""

from dataclasses import dataclass

from mssmail.base.refusal import Reason
from mssmail.wire.imap.responses import Code, Condition, Status, Word


@dataclass(frozen=True, slots=True)
class Reply:
    condition: Condition
    code: Code | None
    french: str
    english: str

    @property
    def text(self) -> str:
        return f"{self.french} / {self.english}"


def _no(code: Code | None, french: str, english: str) -> Reply:
    return Reply(Condition.NO, code, french, english)


_NOT_HERE = _no(Word.CANNOT, "Opération impossible en IMAP", "Not an operation of IMAP")
"""Reasons that belong to sending or to administration, and that no IMAP command meets."""

REPLIES: dict[Reason, Reply] = {
    Reason.NOT_REGISTERED: _NOT_HERE,
    Reason.STRUCK_OFF: _no(
        Word.CONTACTADMIN,
        "Vous ne figurez plus dans l'Annuaire Santé : boîte fermée, contactez votre opérateur",
        "You are no longer in the health directory: mailbox closed, contact your operator",
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
    Reason.SUSPENDED: _no(
        Word.CONTACTADMIN,
        "Boîte suspendue, contactez votre opérateur",
        "Mailbox suspended, contact your operator",
    ),
    Reason.OVER_QUOTA: _no(
        Word.OVERQUOTA,
        "Boîte pleine : supprimez des messages, puis recommencez",
        "Mailbox full: delete messages, then try again",
    ),
    Reason.DIRECTORY_STALE: _NOT_HERE,
    Reason.CREDENTIALS: _no(
        Word.AUTHENTICATIONFAILED,
        "Identifiant, mot de passe ou code incorrect",
        "Wrong login, password or code",
    ),
    Reason.CODE_USED: _no(
        Word.AUTHENTICATIONFAILED,
        "Identifiant, mot de passe ou code incorrect",
        "Wrong login, password or code",
    ),
    Reason.GRANT_ENDED: _no(
        Word.EXPIRED,
        "Autorisation terminée : saisissez votre mot de passe suivi d'un nouveau code",
        "This sign-in has ended: enter your password followed by a new code",
    ),
    Reason.LOCKED: _no(
        Word.UNAVAILABLE,
        "Trop d'échecs de connexion : attendez quelques minutes",
        "Too many failed sign-ins: wait some minutes",
    ),
    Reason.CERTIFICATE: _no(
        Word.AUTHENTICATIONFAILED,
        "Certificat refusé : révoqué, périmé ou inconnu ici",
        "Certificate refused: revoked, out of date or unknown here",
    ),
    Reason.SOURCE: _no(
        Word.AUTHORIZATIONFAILED,
        "Ce compte ne se connecte pas depuis cette adresse IP : contactez votre opérateur",
        "This account may not sign in from this IP address: contact your operator",
    ),
    Reason.NOT_DELEGATED: _no(
        Word.AUTHORIZATIONFAILED,
        "Cette boîte ne vous est pas déléguée",
        "That mailbox isn't delegated to you",
    ),
    Reason.NO_RIGHT: _no(
        Word.NOPERM,
        "Votre délégation ne donne pas ce droit",
        "Your delegation doesn't give that right",
    ),
    Reason.DELEGATION: _no(
        Word.CANNOT,
        "Cette délégation n'est pas possible",
        "That delegation can't be given",
    ),
    Reason.MECHANISM: _no(
        Word.AUTHENTICATIONFAILED,
        "Ce compte ne se connecte pas de cette façon : utilisez son certificat",
        "This account doesn't sign in this way: use its certificate",
    ),
    Reason.TOKEN: _no(
        Word.AUTHENTICATIONFAILED,
        "Autorisation périmée ou retirée : reconnectez votre logiciel",
        "The authorization has expired or was withdrawn: sign your program in again",
    ),
    Reason.CLIENT: _NOT_HERE,
    Reason.SCOPE: _no(
        Word.AUTHORIZATIONFAILED,
        "Cette autorisation ne couvre pas la lecture : reconnectez votre logiciel",
        "This authorization doesn't cover reading: sign your program in again",
    ),
    Reason.NOT_YOUR_ADDRESS: _NOT_HERE,
    Reason.TOO_LARGE: _no(
        Word.TOOBIG,
        "Message trop volumineux pour ce serveur",
        "Message too big for this server",
    ),
    Reason.TOO_MANY_RECIPIENTS: _NOT_HERE,
    Reason.BARE_NEWLINE: _NOT_HERE,
    Reason.LINE_TOO_LONG: _NOT_HERE,
    Reason.HEADERS_TOO_LARGE: _NOT_HERE,
    Reason.BAD_HEADERS: _NOT_HERE,
    Reason.LOOP: _NOT_HERE,
    Reason.TOO_MANY_MESSAGES: _no(Word.LIMIT, "Trop de messages en une heure", "Too many messages in an hour"),
    Reason.SENDING_LIMIT: _NOT_HERE,
    Reason.FOLDER_MISSING: _no(Word.NONEXISTENT, "Ce dossier n'existe pas", "No such folder"),
    Reason.FOLDER_EXISTS: _no(Word.ALREADYEXISTS, "Ce dossier existe déjà", "That folder exists already"),
    Reason.FOLDER_FIXED: _no(Word.CANNOT, "Ce dossier ne peut pas être supprimé", "That folder can't be deleted"),
    Reason.FOLDER_NAME: _no(Word.CANNOT, "Nom de dossier incorrect", "Not a valid folder name"),
    Reason.FOLDER_LIMIT: _no(Word.LIMIT, "Trop de dossiers", "Too many folders"),
    Reason.KEYWORD_LIMIT: _no(
        Word.LIMIT, "Étiquettes trop nombreuses ou trop longues", "Too many or too long keywords"
    ),
    Reason.MESSAGE_GONE: _no(
        Word.EXPUNGEISSUED,
        "Certains de ces messages viennent d'être supprimés",
        "Some of these messages have just been deleted",
    ),
    Reason.READ_ONLY: _no(Word.READ_ONLY, "Dossier ouvert en lecture seule", "Folder opened read-only"),
    Reason.SEARCH_CHARSET: _no(None, "Jeu de caractères inconnu", "Unknown charset"),
    Reason.SEARCH_TOO_WIDE: _no(Word.LIMIT, "Recherche trop vaste", "Search too wide"),
    Reason.STORAGE_FULL: _no(
        Word.LIMIT,
        "Le serveur n'a plus de place, réessayez plus tard",
        "The server has no space left, try again later",
    ),
    Reason.UNAVAILABLE: _no(
        Word.UNAVAILABLE,
        "Momentanément indisponible, réessayez plus tard",
        "Temporarily unavailable, try again later",
    ),
    Reason.ACCOUNT_EXISTS: _NOT_HERE,
    Reason.ACCOUNT_MISSING: _no(Word.CONTACTADMIN, "Cette boîte n'existe plus", "That mailbox no longer exists"),
    Reason.NOT_ELIGIBLE: _no(
        Word.CONTACTADMIN,
        "Aucune inscription active dans une profession autorisée",
        "No active registration in an allowed profession",
    ),
    Reason.WEAK_PASSWORD: _NOT_HERE,
    Reason.TERM: _no(
        Word.CANNOT,
        "Message plus ancien que ce que cette boîte conserve",
        "Message older than that box keeps mail",
    ),
    Reason.RULE: _NOT_HERE,
    Reason.IMPORT: _NOT_HERE,
    Reason.NOT_PERMITTED: _NOT_HERE,
    Reason.ADMINISTRATOR: _NOT_HERE,
    Reason.ORDER: _NOT_HERE,
}
"""The reply of each reason; total."""

NO_SUCH_TARGET = _no(Word.TRYCREATE, "Ce dossier n'existe pas : créez-le d'abord", "No such folder: create it first")
"""FOLDER_MISSING where the folder is one to put messages into (RFC 3501 §6.3.11, §6.4.7)."""
EMPTY_MESSAGE = _no(None, "Message vide : ajout annulé", "Empty message: append cancelled")
"""RFC 3502: a message of no octets cancels the command."""
TOO_MANY_AT_ONCE = _no(Word.LIMIT, "Trop de messages en une commande", "Too many messages in one command")
NO_SUCH_QUOTA_ROOT = _no(Word.NONEXISTENT, "Ce quota n'existe pas", "No such quota root")
NO_SUCH_PERSON = _no(Word.NONEXISTENT, "Aucun compte à cette adresse", "No account of that address")
RIGHTS_OF_BOX = _no(
    Word.CANNOT,
    "Les droits valent pour toute la boîte : modifiez ceux de INBOX",
    "Rights go for the whole box: change those of INBOX",
)
BETWEEN_BOXES = _no(
    Word.CANNOT,
    "Un dossier ne passe pas d'une boîte à l'autre : copiez ses messages",
    "A folder can't go from box to box: copy its messages",
)
USE_TAKEN = _no(Word.USEATTR, "Un autre dossier a déjà cet usage", "Another folder has that special use")
TOO_MANY_CONNECTIONS = _no(Word.LIMIT, "Trop de connexions à la fois", "Too many connections at once")
"""Of one account or of one address."""
NO_SUCH_MECHANISM = _no(Word.CANNOT, "Mécanisme de connexion inconnu", "That mechanism isn't offered")
BAD_NUMBER = Reply(Condition.BAD, None, "Numéro de message inconnu", "No message has that number")
CANCELLED = Reply(Condition.BAD, None, "Connexion abandonnée", "Sign-in cancelled")
BAD_RESPONSE = Reply(Condition.BAD, None, "Réponse de connexion illisible", "Malformed sign-in response")
NOT_DONE = Reply(Condition.BAD, None, "DONE attendu", "Expected DONE")

SHUTTING_DOWN = _no(None, "Le serveur s'arrête, reconnectez-vous", "The server is stopping, connect again")
IDLE_TOO_LONG = _no(None, "Connexion inactive trop longtemps", "Idle for too long")
LOGIN_TOO_LATE = _no(None, "Aucune connexion à temps", "No sign-in in time")
TOO_MANY_FAILURES = _no(None, "Trop d'échecs sur cette connexion", "Too many failures on this connection")
LOGGED_OUT = _no(None, "À bientôt", "Goodbye")
"""What BYE says; its condition is BYE, whatever stands here."""


def status(reply: Reply, tag: bytes) -> Status:
    return Status(reply.condition, reply.text, reply.code, tag)


def of(reason: Reason, tag: bytes) -> Status:
    """The reply to a command that the domain refuses."""
    return status(REPLIES[reason], tag)


def bug(tag: bytes, incident: str) -> Status:
    """The reply where something of ours failed: by its number the log tells the rest (RFC 5530 §3)."""
    text = f"Erreur du serveur, incident {incident} / Server error, incident {incident}"
    return Status(Condition.NO, text, Word.SERVERBUG, tag)


def bye(reply: Reply) -> Status:
    """An untagged BYE: the connection closes next (RFC 3501 §7.1.5)."""
    return Status(Condition.BYE, reply.text, reply.code)
