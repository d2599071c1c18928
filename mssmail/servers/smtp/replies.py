"""What the SMTP side answers: one total table from Reason to its reply, and the replies of the protocol itself.

Every reply but the greeting, EHLO's, HELO's and 3xx bears an enhanced code (RFC 2034 §4), one for each reason. What a
person reads is French, then English, in one line, naming the cause and what to do; ASCII, as a reply must be until
SMTPUTF8 says otherwise (RFC 5321 §4.2). A line takes 512 octets at most (RFC 5321 §4.5.3.1.5). No reply quotes what
the peer sent, tells an account from none at sign-in, or says anything of a failure of ours.
"""

from typing import Final

from mssmail.base.refusal import Reason
from mssmail.wire.sasl.exchange import Failure

MAX_REPLY_OCTETS: Final = 512


def _told(code: int, enhanced: str, french: str, english: str) -> bytes:
    """A reply that a person may get to see."""
    return f"{code} {enhanced} {french} / {english}\r\n".encode("ascii")


REASONS: Final[dict[Reason, bytes]] = {
    # recipients
    Reason.NOT_REGISTERED: _told(
        550,
        "5.1.1",
        "Destinataire refuse : aucun professionnel enregistre n'a cette adresse ; verifiez-la dans l'annuaire",
        "Recipient refused: no registered professional has this address; check it in the directory",
    ),
    Reason.STRUCK_OFF: _told(
        550,
        "5.1.6",
        "Destinataire refuse : ce professionnel ne figure plus a l'annuaire ; ecrivez a un autre correspondant",
        "Recipient refused: this professional is no longer in the directory; write to somebody else",
    ),
    Reason.OUTSIDE_TRUST: _told(
        550,
        "5.7.1",
        "Destinataire refuse : ce domaine est hors de l'espace de confiance ; utilisez une adresse MSSante",
        "Recipient refused: this domain is outside the trust space; use an MSSante address",
    ),
    Reason.NO_MAILBOX: _told(
        550,
        "5.1.0",
        "Destinataire refuse : ce professionnel n'a pas de boite ici ; joignez-le autrement",
        "Recipient refused: this professional has no mailbox here; reach them another way",
    ),
    Reason.SUSPENDED: _told(
        550,
        "5.2.1",
        "Refuse : cette boite est suspendue ; voyez avec votre administrateur",
        "Refused: this mailbox is suspended; see your administrator",
    ),
    Reason.OVER_QUOTA: _told(
        452,
        "4.2.2",
        "Destinataire refuse : sa boite est pleine ; reessayez plus tard",
        "Recipient refused: the mailbox is full; try again later",
    ),
    Reason.DIRECTORY_STALE: _told(
        451,
        "4.7.1",
        "Destinataire non verifiable : l'annuaire de sante n'est plus a jour ici ; reessayez plus tard",
        "Recipient can't be verified: the health directory here is out of date; try again later",
    ),
    Reason.RELAY: _told(
        550,
        "5.7.1",
        "Relais refuse : ce domaine n'est pas servi ici ; adressez-vous a son operateur",
        "Relaying denied: this domain isn't served here; send to its own operator",
    ),
    Reason.PATIENT: _told(
        550,
        "5.7.1",
        "Refuse : un patient n'ecrit ici qu'en reponse a un professionnel qui lui a ecrit",
        "Refused: a patient writes here only in answer to a professional who wrote to them",
    ),
    # other operators
    Reason.OPERATOR_CERTIFICATE: _told(
        550,
        "5.7.1",
        "Certificat d'operateur absent, perime, revoque ou d'un autre usage ; presentez celui de la liste blanche",
        "No operator's certificate that is valid: show the one of the white list",
    ),
    Reason.NOT_LISTED: _told(
        550,
        "5.7.1",
        "Expediteur refuse : la liste blanche n'attribue pas ce domaine a votre certificat",
        "Sender refused: the white list doesn't give this domain to your certificate",
    ),
    Reason.OWN_DOMAIN: _told(
        553,
        "5.7.1",
        "Expediteur refuse : ce domaine est servi ici et n'ecrit pas du dehors",
        "Sender refused: this domain is served here, and doesn't write from outside",
    ),
    Reason.MISALIGNED: _told(
        550,
        "5.7.1",
        "Message refuse : le champ From n'est pas d'un domaine de votre operateur ; corrigez l'expediteur",
        "Message refused: From isn't of a domain of your operator's; correct the sender",
    ),
    # sign-in
    Reason.CREDENTIALS: _told(
        535,
        "5.7.8",
        "Connexion refusee : identifiant, mot de passe ou code errone ; saisissez mot de passe puis nouveau code",
        "Sign-in refused: wrong login, password or code; enter the password followed by a new code",
    ),
    Reason.CODE_USED: _told(
        535,
        "5.7.8",
        "Connexion refusee : identifiant, mot de passe ou code errone ; saisissez mot de passe puis nouveau code",
        "Sign-in refused: wrong login, password or code; enter the password followed by a new code",
    ),
    Reason.GRANT_ENDED: _told(
        535,
        "5.7.8",
        "Autorisation terminee : saisissez votre mot de passe suivi d'un nouveau code",
        "This sign-in has ended: enter your password followed by a new code",
    ),
    Reason.LOCKED: _told(
        454,
        "4.7.0",
        "Connexion bloquee un moment apres trop d'echecs ; attendez, puis reessayez",
        "Sign-in is locked for a while after too many failures; wait, then try again",
    ),
    Reason.CERTIFICATE: _told(
        535,
        "5.7.8",
        "Certificat refuse : revoque, perime, ou sans compte ici ; presentez un certificat en cours de validite",
        "Certificate refused: revoked, out of date, or of nobody here; show one that is valid",
    ),
    Reason.SOURCE: _told(
        535,
        "5.7.1",
        "Connexion refusee : ce compte n'entre pas depuis cette adresse IP ; voyez avec votre administrateur",
        "Sign-in refused: this account may not sign in from this IP address; see your administrator",
    ),
    Reason.NOT_DELEGATED: _told(
        535,
        "5.7.8",
        "Connexion refusee : cette boite ne vous est pas deleguee ; demandez-le a son titulaire",
        "Sign-in refused: this mailbox isn't delegated to you; ask its holder",
    ),
    Reason.MECHANISM: _told(
        534,
        "5.7.9",
        "Connexion refusee : ce compte n'entre pas par ce moyen ; utilisez son certificat",
        "Sign-in refused: this account may not use this mechanism; use its certificate",
    ),
    Reason.TOKEN: _told(
        535,
        "5.7.8",
        "Connexion refusee : autorisation perimee ou retiree ; reconnectez votre logiciel",
        "Sign-in refused: the authorization has expired or was withdrawn; sign your program in again",
    ),
    Reason.CLIENT: _told(535, "5.7.8", "Logiciel inconnu ici", "Program unknown here"),
    Reason.SCOPE: _told(
        535,
        "5.7.8",
        "Connexion refusee : autorisation sans droit d'envoi ; reconnectez votre logiciel",
        "Sign-in refused: the authorization doesn't cover sending; sign your program in again",
    ),
    # sending
    Reason.NOT_YOUR_ADDRESS: _told(
        553,
        "5.7.1",
        "Expediteur refuse : cette adresse n'est ni la votre ni deleguee ; ecrivez sous votre propre adresse",
        "Sender refused: this address is neither yours nor delegated to you; write under your own",
    ),
    Reason.NO_RIGHT: _told(
        553,
        "5.7.1",
        "Expediteur refuse : votre delegation n'inclut pas l'envoi au nom de cette boite ; voyez son titulaire",
        "Sender refused: your delegation doesn't let you write in that mailbox's name; ask its holder",
    ),
    Reason.NULL_SENDER: _told(
        550,
        "5.7.1",
        "Expediteur vide refuse : seul un accuse de lecture part ainsi ; ecrivez sous votre propre adresse",
        "Empty sender refused: a read receipt alone goes so; write under your own address",
    ),
    Reason.TOO_LARGE: _told(
        552,
        "5.3.4",
        "Message trop volumineux ; retirez des pieces jointes ou envoyez-les en plusieurs messages",
        "Message too large; take attachments out or send them in several messages",
    ),
    Reason.TOO_MANY_RECIPIENTS: _told(
        452,
        "4.5.3",
        "Trop de destinataires pour un message ; envoyez-le aux autres dans un second envoi",
        "Too many recipients for one message; send it to the others in a second one",
    ),
    Reason.BARE_NEWLINE: _told(
        550,
        "5.6.0",
        "Message refuse : fin de ligne CR ou LF isolee ; votre logiciel doit envoyer CRLF",
        "Message refused: bare CR or LF in it; your program must send CRLF",
    ),
    Reason.LINE_TOO_LONG: _told(
        550,
        "5.6.0",
        "Message refuse : une ligne est trop longue ; votre logiciel doit la coder",
        "Message refused: a line is too long; your program must encode it",
    ),
    Reason.HEADERS_TOO_LARGE: _told(
        552,
        "5.3.4",
        "Message refuse : en-tetes trop volumineux ; reduisez le nombre de destinataires",
        "Message refused: its header is too large; name fewer recipients",
    ),
    Reason.BAD_HEADERS: _told(
        550,
        "5.6.0",
        "Message refuse : champ From absent, double ou illisible ; verifiez l'expediteur dans votre logiciel",
        "Message refused: From is missing, repeated or unreadable; check the sender in your program",
    ),
    Reason.LOOP: _told(
        554,
        "5.4.6",
        "Message refuse : il tourne en boucle ; verifiez les redirections",
        "Message refused: it goes round in a loop; check what forwards it",
    ),
    Reason.TOO_MANY_MESSAGES: _told(
        450,
        "4.7.1",
        "Trop de messages en une heure ; reessayez plus tard",
        "Too many messages within an hour; try again later",
    ),
    Reason.SENDING_LIMIT: _told(
        451,
        "4.7.1",
        "Limite d'envoi de cette heure ou de ce jour atteinte ; gardez le message, il pourra partir plus tard",
        "Sending limit of this hour or day reached; keep the message, it can go later",
    ),
    # state
    Reason.STORAGE_FULL: _told(
        452,
        "4.3.1",
        "Message non pris : le serveur n'a plus de place ; reessayez plus tard",
        "Message not taken: the server is out of space; try again later",
    ),
    Reason.UNAVAILABLE: _told(
        451,
        "4.3.0",
        "Service indisponible pour le moment ; reessayez plus tard",
        "Service unavailable for the moment; try again later",
    ),
    # What follows can't come of a submission; the table is total, so that nothing falls through if it does.
    Reason.DELEGATION: _told(550, "5.7.0", "Delegation impossible", "That delegation can't be given"),
    Reason.FOLDER_MISSING: _told(550, "5.2.0", "Dossier absent", "No such folder"),
    Reason.FOLDER_EXISTS: _told(550, "5.2.0", "Dossier deja present", "The folder exists"),
    Reason.FOLDER_FIXED: _told(550, "5.2.0", "Dossier inamovible", "The folder is fixed"),
    Reason.FOLDER_NAME: _told(550, "5.2.0", "Nom de dossier refuse", "Folder name refused"),
    Reason.FOLDER_LIMIT: _told(550, "5.2.0", "Trop de dossiers", "Too many folders"),
    Reason.KEYWORD_LIMIT: _told(550, "5.2.0", "Trop de mots-cles", "Too many keywords"),
    Reason.MESSAGE_GONE: _told(550, "5.2.0", "Message disparu", "The message is gone"),
    Reason.READ_ONLY: _told(550, "5.2.0", "Dossier en lecture seule", "The folder is read-only"),
    Reason.SEARCH_CHARSET: _told(550, "5.2.0", "Jeu de caracteres inconnu", "Unknown charset"),
    Reason.SEARCH_TOO_WIDE: _told(550, "5.2.0", "Recherche trop large", "The search is too wide"),
    Reason.ACCOUNT_EXISTS: _told(550, "5.2.0", "Compte deja present", "The account exists"),
    Reason.ACCOUNT_MISSING: _told(550, "5.2.0", "Compte absent", "No such account"),
    Reason.NOT_ELIGIBLE: _told(
        550,
        "5.7.0",
        "Refuse : aucune inscription active dans une profession admise ; voyez avec votre ordre",
        "Refused: no active registration in an admitted profession; see your professional body",
    ),
    Reason.WEAK_PASSWORD: _told(550, "5.7.0", "Mot de passe trop faible", "The password is too weak"),
    Reason.TERM: _told(550, "5.7.0", "Duree de conservation hors limites", "Retention term out of bounds"),
    Reason.RULE: _told(550, "5.7.0", "Absence ou transfert refuse", "Absence or forwarding refused"),
    Reason.IMPORT: _told(550, "5.3.0", "Fichier d'annuaire refuse", "Directory file refused"),
    Reason.NOT_PERMITTED: _told(550, "5.7.0", "Reserve aux administrateurs", "For administrators"),
    Reason.ADMINISTRATOR: _told(550, "5.7.0", "Administrateur refuse", "Administrator refused"),
    Reason.ORDER: _told(550, "5.7.0", "Ordre absent", "No such order"),
}

EXCHANGE: Final[dict[Failure, bytes]] = {
    # RFC 4954 §4 and §6
    Failure.CANCELLED: b"501 5.7.0 Authentication cancelled\r\n",
    Failure.ENCODING: b"501 5.5.2 Cannot decode base64\r\n",
    Failure.MALFORMED: b"501 5.5.2 Not what this mechanism asks for\r\n",
    Failure.TOO_LONG: b"500 5.5.6 Authentication exchange line too long\r\n",
}

OK: Final = b"250 2.0.0 OK\r\n"
SENDER_OK: Final = b"250 2.1.0 Sender OK\r\n"
PRIORITY_LOWERED: Final = b"250 2.3.6 0 is the priority of this message: only senders who sign in may raise it\r\n"
"""RFC 6710 §4.1: the new priority, a space, then why."""
RECIPIENT_OK: Final = b"250 2.1.5 Recipient OK\r\n"
SIGNED_IN: Final = b"235 2.7.0 Authentication succeeded\r\n"
START_TLS: Final = b"220 2.0.0 Ready to start TLS\r\n"
START_DATA: Final = b"354 End data with <CR><LF>.<CR><LF>\r\n"
BYE: Final = b"221 2.0.0 Bye\r\n"
HELP: Final = b"214 2.0.0 See RFC 5321 and RFC 6409\r\n"
CANNOT_VERIFY: Final = b"252 2.5.0 Cannot VRFY; send some mail, the gate decides at RCPT\r\n"
"""For any address alike: who is here is told to nobody who asks like that (RFC 5321 §7.3)."""

TOO_LONG: Final = b"500 5.5.6 Line too long\r\n"
BAD_LINE: Final = b"500 5.5.2 A command is UTF-8, without CR, LF or NUL, and ends with CRLF\r\n"
UNKNOWN: Final = b"500 5.5.1 Command not recognized\r\n"
NOT_HERE: Final = b"502 5.5.1 Command not implemented\r\n"
BAD_ARGUMENTS: Final = b"501 5.5.4 Syntax error in arguments\r\n"
BAD_MAIL: Final = b"501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
BAD_RCPT: Final = b"501 5.5.4 Syntax: RCPT TO:<address> [parameters]\r\n"
BAD_PARAMETER: Final = b"501 5.5.4 Bad, repeated or misplaced value of a parameter\r\n"
UNKNOWN_PARAMETER: Final = b"555 5.5.4 Parameter not recognized or not implemented\r\n"
BY_TOO_SOON: Final = b"555 5.5.4 BY asks for less than the minimum that DELIVERBY announces\r\n"
UNKNOWN_MECHANISM: Final = b"504 5.5.4 Mechanism not on offer\r\n"
BAD_BDAT: Final = b"501 5.5.4 Syntax: BDAT size [LAST]; closing, for what follows may be a message\r\n"
BAD_SENDER: Final = b"553 5.1.7 Adresse d'expediteur mal formee / Malformed sender address\r\n"
BAD_RECIPIENT: Final = b"553 5.1.3 Adresse de destinataire mal formee / Malformed recipient address\r\n"
ASCII_SENDER: Final = b"550 5.6.7 Non-ASCII sender needs SMTPUTF8\r\n"
ASCII_RECIPIENT: Final = b"553 5.6.7 Non-ASCII recipient needs SMTPUTF8\r\n"
"""RFC 6531 §3.5."""

GREET_FIRST: Final = b"503 5.5.1 Send EHLO first\r\n"
TLS_FIRST: Final = b"530 5.7.0 Must issue a STARTTLS command first\r\n"
TLS_FOR_AUTH: Final = b"538 5.7.11 Encryption required for authentication; issue STARTTLS first\r\n"
TLS_ALREADY: Final = b"503 5.5.1 TLS is already in use\r\n"
SIGN_IN_FIRST: Final = _told(
    530,
    "5.7.0",
    "Connexion requise : mot de passe et code, ou certificat",
    "Authentication required: password and code, or a certificate",
)
SIGNED_IN_ALREADY: Final = b"503 5.5.1 Already authenticated\r\n"
NOT_WITHIN_MAIL: Final = b"503 5.5.1 Not during a mail transaction\r\n"
MAIL_FIRST: Final = b"503 5.5.1 Send MAIL first\r\n"
RSET_FIRST: Final = b"503 5.5.1 This transaction goes on with BDAT or ends with RSET\r\n"
RCPT_FIRST: Final = b"503 5.5.1 Send RCPT first\r\n"
NO_RECIPIENT: Final = b"554 5.5.1 Aucun destinataire accepte / No valid recipients\r\n"

OWN_FAULT: Final = REASONS[Reason.UNAVAILABLE]
"""A failure of ours is told apart from an outage by nobody outside."""
ENDED: Final = _told(
    421,
    "4.7.0",
    "Session close : le droit de cette connexion a pris fin ; reconnectez-vous",
    "Session closed: the right to it has ended; sign in again",
)
TOO_MANY_FAILURES: Final = _told(
    421, "4.7.0", "Trop d'echecs de connexion, fin de la session", "Too many failed sign-ins, closing"
)
TOO_MANY_FAULTS: Final = b"421 4.7.0 Too many bad commands, closing\r\n"
TOO_MUCH: Final = b"421 4.7.0 The message goes far beyond the limit, closing\r\n"
TOO_MANY_CONNECTIONS: Final = _told(
    421, "4.7.0", "Trop de connexions depuis cette adresse", "Too many connections from this address"
)
TOO_MANY_OF_OPERATOR: Final = _told(
    421, "4.7.0", "Trop de connexions de cet operateur", "Too many connections of this operator"
)
TIMEOUT: Final = b"421 4.4.2 Timeout, closing\r\n"
STOPPING: Final = b"421 4.3.2 Service arrete, reessayez / Service shutting down, try again\r\n"


def chunk_taken(octets: int) -> bytes:
    """The 250 after a chunk that isn't the last (RFC 3030 §4.2)."""
    return f"250 2.0.0 {octets} octets received\r\n".encode("ascii")


def accepted(queue_id: str) -> bytes:
    """The 250 after the end of data."""
    return f"250 2.6.0 Message accepte / Message accepted, id {queue_id}\r\n".encode("ascii")
