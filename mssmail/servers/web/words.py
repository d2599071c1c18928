"""What pages say, in French and in English. Markup stands in the templates; a text here is plain."""

from enum import Enum, unique
from typing import Final

_MAX_ACCEPTED: Final = 20
"""Languages of an Accept-Language that are looked at."""


@unique
class Language(Enum):
    """Languages that pages speak, by their tag."""

    FRENCH = "fr"
    ENGLISH = "en"


def language_of(accepted: str) -> Language:
    """The language that a browser prefers by its Accept-Language (RFC 9110 §12.5.4); French where it says nothing."""
    best, weight = Language.FRENCH, 0.0
    for item in accepted.split(",")[:_MAX_ACCEPTED]:
        tag, _, parameters = item.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        for language in Language:
            if tag.split("-")[0].lower() == language.value and quality > weight:
                best, weight = language, quality
    return best


def text(key: str, language: Language) -> str:
    """Raises KeyError for a key that nobody wrote."""
    french, english = WORDS[key]
    return french if language is Language.FRENCH else english


WORDS: Final[dict[str, tuple[str, str]]] = {
    "product": ("Messagerie sécurisée de santé", "Secure health mail"),
    "skip": ("Aller au contenu", "Skip to content"),
    "other-language": ("English", "Français"),
    "home": ("Accueil", "Home"),
    "sign-out": ("Se déconnecter", "Sign out"),
    "signed-in-as": ("Connecté :", "Signed in:"),
    "traced": (
        "Les connexions et les actions sont tracées, comme la réglementation le demande ; jamais le contenu des "
        "messages.",
        "Sign-ins and actions are traced, as the law asks; the contents of messages never are.",
    ),
    # sign-in
    "sign-in": ("Connexion", "Sign in"),
    "enter": ("Se connecter", "Sign in"),
    "by-certificate": ("Avec ma carte ou mon certificat", "With my card or certificate"),
    "by-certificate-help": (
        "Insérez votre carte (CPS) ou installez votre certificat, puis choisissez-le quand le navigateur le demande.",
        "Insert your card (CPS) or install your certificate, then choose it when the browser asks.",
    ),
    "no-certificate-shown": (
        "Votre navigateur n'a pas présenté de certificat. Vérifiez la carte et son lecteur, puis fermez et rouvrez le "
        "navigateur.",
        "Your browser showed no certificate. Check the card and its reader, then close the browser and open it again.",
    ),
    "by-password": ("Avec mot de passe et code", "With password and code"),
    "address": ("Adresse de messagerie", "Mail address"),
    "password": ("Mot de passe", "Password"),
    "code": ("Code à six chiffres", "Six-digit code"),
    "code-help": (
        "Affiché par votre application d'authentification ; chaque code ne sert qu'une fois. Téléphone perdu : "
        "saisissez un code de secours.",
        "Shown by your authenticator app; each code serves only once. Phone lost: type a recovery code.",
    ),
    "to-continue": ("Pour autoriser {client}, connectez-vous.", "To let {client} in, sign in."),
    # consent
    "consent": ("Autoriser un logiciel", "Let a program in"),
    "consent-asks": (
        "{client} demande l'accès à votre boîte aux lettres.",
        "{client} asks for access to your mailbox.",
    ),
    "consent-for": ("Boîte", "Mailbox"),
    "consent-program": ("Logiciel", "Program"),
    "consent-to": ("Retour vers", "Returns to"),
    "consent-own-device": ("cet ordinateur", "this computer"),
    "consent-lets": ("Il pourra :", "It will be able to:"),
    "scope-imap": ("lire, classer et supprimer vos messages", "read, file and delete your messages"),
    "scope-smtp": ("envoyer des messages en votre nom", "send messages in your name"),
    "consent-unvouched": (
        "Ce logiciel s'est enregistré lui-même : votre opérateur ne garantit pas son nom. N'acceptez que si vous venez "
        "de l'installer.",
        "This program registered itself: your operator doesn't vouch for its name. Accept only if you have just "
        "installed it.",
    ),
    "consent-warning": (
        "N'acceptez que si vous venez vous-même de configurer ce logiciel. Vous pourrez retirer cette autorisation à "
        "tout moment.",
        "Accept only if you are setting this program up yourself just now. You can withdraw this at any time.",
    ),
    "allow": ("Autoriser", "Allow"),
    "deny": ("Refuser", "Deny"),
    # device
    "device": ("Connecter un appareil", "Connect a device"),
    "device-enter": ("Code affiché par l'appareil", "Code that the device shows"),
    "device-example": ("Par exemple WDJB-MJHT", "As WDJB-MJHT"),
    "device-warning": (
        "N'autorisez que si cet appareil est le vôtre, devant vous, et affiche ce code : personne ne vous le demandera "
        "par téléphone ou par message.",
        "Allow this only if the device is yours, in front of you, and shows this code: nobody will ask you for it by "
        "phone or by mail.",
    ),
    "device-code": ("Code", "Code"),
    "device-allowed": (
        "C'est fait : l'appareil se connecte dans quelques secondes. Vous pouvez fermer cette page.",
        "Done: the device signs in within seconds. You may close this page.",
    ),
    "device-denied": ("L'appareil n'a pas été autorisé.", "The device was not let in."),
    "device-unknown": (
        "Ce code n'est pas en attente : vérifiez-le, ou demandez-en un nouveau à l'appareil.",
        "No device waits with this code: check it, or have the device show a new one.",
    ),
    "continue": ("Continuer", "Continue"),
    # account
    "account": ("Mon compte", "My account"),
    "account-intro": (
        "Ce qui peut ouvrir votre boîte en ce moment. Retirez ce que vous ne reconnaissez pas.",
        "What can open your mailbox at present. Withdraw what you don't recognise.",
    ),
    "programs": ("Logiciels autorisés", "Programs that you let in"),
    "no-programs": ("Aucun logiciel n'est autorisé.", "No program was let in."),
    "program": ("Logiciel", "Program"),
    "may": ("Peut", "May"),
    "since": ("Depuis", "Since"),
    "last-used": ("Dernière utilisation", "Last used"),
    "revoke": ("Retirer", "Withdraw"),
    "browsers": ("Navigateurs connectés", "Signed-in browsers"),
    "from-address": ("Depuis l'adresse", "From address"),
    "means": ("Moyen", "By"),
    "means-external": ("carte ou certificat", "card or certificate"),
    "means-password": ("mot de passe et code", "password and code"),
    "this-browser": ("ce navigateur", "this browser"),
    "end": ("Déconnecter", "Sign out"),
    "grants": ("Connexions des logiciels par mot de passe et code", "Programs signed in by password and code"),
    "grants-help": (
        "Tant qu'une connexion dure, votre logiciel de messagerie se reconnecte de la même adresse sans nouveau code.",
        "While one lasts, your mail program signs in again from the same address without a new code.",
    ),
    "no-grants": ("Aucune.", "None."),
    "until": ("Jusqu'au", "Until"),
    "everywhere": ("Tout déconnecter", "Sign out everywhere"),
    "everywhere-help": (
        "Met fin à toutes les connexions et retire toutes les autorisations, partout. Vos messages restent.",
        "Ends every session and withdraws every authorization, everywhere. Your messages stay.",
    ),
    # enrolment
    "enrolment": ("Activer votre compte", "Activate your account"),
    "enrolment-for": ("Boîte", "Mailbox"),
    "enrolment-step-password": ("1. Choisissez un mot de passe", "1. Choose a password"),
    "enrolment-rule": (
        "Au moins {bits} bits d'entropie (CNIL 2022-100) : par exemple cinq mots rares et sans rapport, ou douze "
        "caractères tirés au hasard. Les mots courants, les dates et votre nom comptent peu.",
        "At least {bits} bits of entropy (CNIL 2022-100): five rare and unrelated words, say, or twelve characters "
        "drawn at random. Common words, dates and your name count little.",
    ),
    "new-password": ("Nouveau mot de passe", "New password"),
    "repeat-password": ("Le même, une seconde fois", "The same once more"),
    "enrolment-step-code": ("2. Scannez ce code QR", "2. Scan this QR code"),
    "enrolment-scan": (
        "Avec une application d'authentification sur votre téléphone. Sans appareil photo, saisissez-y cette clé :",
        "With an authenticator app on your phone. Without a camera, type this key into it:",
    ),
    "qr-alt": ("Code QR pour l'application d'authentification", "QR code for the authenticator app"),
    "enrolment-step-confirm": ("3. Confirmez par un premier code", "3. Confirm with a first code"),
    "activate": ("Activer", "Activate"),
    "passwords-differ": ("Les deux mots de passe diffèrent.", "The two passwords differ."),
    "code-wrong": (
        "Ce code ne correspond pas : attendez le suivant, et vérifiez l'heure de votre téléphone.",
        "This code doesn't fit: wait for the next one, and check your phone's clock.",
    ),
    "enrolled": ("Votre compte est activé", "Your account is active"),
    "recovery": ("Codes de secours", "Recovery codes"),
    "recovery-help": (
        "Imprimez-les et gardez-les en lieu sûr : chacun remplace une fois le code de votre téléphone, s'il est perdu. "
        "Ils ne seront plus affichés.",
        "Print them and keep them safe: each stands once for your phone's code, should you lose it. They won't be "
        "shown again.",
    ),
    # failures
    "failed": ("Impossible", "Not possible"),
    "not-found": ("Cette page n'existe pas.", "There is no such page."),
    "bad-request": (
        "La demande est incomplète ou mal formée. Recommencez depuis votre logiciel.",
        "The request is incomplete or malformed. Begin again from your program.",
    ),
    "bad-redirect": (
        "L'adresse de retour n'est pas celle de ce logiciel : rien ne lui a été transmis.",
        "The address to return to isn't this program's: nothing was passed on.",
    ),
    "unknown-client": (
        "Ce logiciel n'est pas enregistré ici : voyez avec votre opérateur.",
        "This program isn't registered here: ask your operator.",
    ),
    "form-expired": (
        "Ce formulaire a expiré ou ne vient pas de cette page : rien n'a été fait. Recommencez.",
        "This form has expired or isn't of this page: nothing was done. Begin again.",
    ),
    "method": ("Cette page ne se demande pas ainsi.", "This page isn't asked for in that way."),
    "too-large": ("La demande est trop volumineuse.", "The request is too large."),
    "own-fault": (
        "Une erreur est survenue de notre côté. Incident {incident}.",
        "Something went wrong on our side. Incident {incident}.",
    ),
}
