"""Who lives in the demo: named accounts, refused addresses, and a made-up population of professionals and boxes.

Knows names, ids and addresses; never files, passwords or certificates. The same seed gives the same people. Nobody here
exists: ids come from ranges of our own, structures from a FINESS number that isn't given out.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason

DOMAIN = "demo.mssante.fr"
HOSPITAL_DOMAIN = "hopital-demo.mssante.fr"
LABORATORY_DOMAIN = "laboratoire-demo.mssante.fr"
OTHER_DOMAINS = (HOSPITAL_DOMAIN, "clinique-demo.mssante.fr", "pharmacie-demo.mssante.fr", "ordre-demo.mssante.fr")

POPULATION = 20_000
BOXES = 5_000
SEED = 20_131


@dataclass(frozen=True, slots=True)
class Structure:
    """Where people work: `1`+FINESS, name, street, post code and town."""

    structure_id: str
    name: str
    street: str
    post_code: str
    town: str


@dataclass(frozen=True, slots=True)
class Professional:
    """A person as the extracts carry them."""

    national_id: str
    surname: str
    given_name: str
    profession: str
    """TRE_G15 code."""
    title: str = ""
    """As the title attribute of a certificate spells the profession."""
    category: str = "C"
    structures: tuple[Structure, ...] = ()
    """One activity each; with none, one activity without a structure."""

    @property
    def name(self) -> str:
        """Given name and surname, as demo.json shows them."""
        return f"{self.given_name} {self.surname}"


@dataclass(frozen=True, slots=True)
class ListedBox:
    """A row of the extract of boxes."""

    address: str
    kind: BoxKind
    holder: Professional | None = None
    structure: Structure | None = None
    service: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A box that the demo opens."""

    address: str
    kind: BoxKind
    name: str
    holder: Professional | None = None
    """Of a PER box."""
    structure: Structure | None = None
    """Of an ORG or APP box."""
    common_name: str = ""
    """The CN of an ORG or APP box's certificate."""
    delegates: tuple[str, ...] = ()
    """Addresses of the PER boxes whose holders share an ORG box."""

    @property
    def listed(self) -> ListedBox:
        """This box in the extract of boxes."""
        return ListedBox(self.address, self.kind, self.holder, self.structure, "" if self.holder else self.name)


@dataclass(frozen=True, slots=True)
class RefusedBox:
    """An address that the gate refuses, and why."""

    address: str
    reason: Reason
    account: Account | None = None
    """An account that is opened first, then suspended or left without its holder."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who lives at one operator."""

    domain: str
    name: str
    """What it is called where it is one of several."""
    structure: Structure
    """Whose certificate other operators are shown."""
    accounts: tuple[Account, ...]
    refused: tuple[RefusedBox, ...]


PROFESSIONS: tuple[tuple[str, str, int], ...] = (
    ("10", "Médecin", 32),
    ("21", "Pharmacien", 11),
    ("40", "Chirurgien-Dentiste", 6),
    ("50", "Sage-Femme", 4),
    ("60", "Infirmier", 30),
    ("70", "Masseur-Kinésithérapeute", 11),
    ("80", "Pédicure-Podologue", 2),
    ("86", "Technicien de laboratoire médical", 1),
    ("91", "Orthophoniste", 3),
)
"""TRE_G15 code, label, and weight in a hundred."""
PROFESSION_LABELS = {code: label for code, label, _ in PROFESSIONS}

CENTRE = Structure("1750099901", "CENTRE DE SANTE DES LILAS (DEMO)", "RUE DES LILAS", "75020", "PARIS")
HOSPITAL = Structure("1750099902", "HOPITAL DE DEMONSTRATION", "AVENUE DU GENERAL", "75013", "PARIS")
LABORATORY = Structure("1750099904", "LABORATOIRE DE DEMONSTRATION", "RUE DES ANALYSES", "75014", "PARIS")
OPERATOR = Structure("1750000001", "DEMO MSSMAIL", "RUE DU RESEAU", "75011", "PARIS")
VENDOR = Structure("1750099903", "EDITEUR DE DEMONSTRATION", "RUE DU LOGICIEL", "75002", "PARIS")


def rpps(number: int) -> str:
    """The 12-digit national id of a professional: `8`, ten digits of `number`, their Luhn check digit."""
    digits = f"{number:010d}"
    total = 0
    for i, d in enumerate(reversed(digits)):
        n = int(d) * (1 if i % 2 else 2)
        total += n - 9 if n > 9 else n
    return f"8{digits}{-total % 10}"


def professional(national_id: str, given: str, surname: str, profession: str, *places: Structure) -> Professional:
    title = PROFESSION_LABELS[profession]
    return Professional(national_id, surname, given, profession, title, structures=places)


# the id that the demo contract's example gives; the others have true check digits
CLAIRE = professional("810000000001", "Claire", "MARTIN", "10", CENTRE)
PAUL = professional(rpps(1_000_000_001), "Paul", "DURAND", "10", CENTRE, HOSPITAL)
SOPHIE = professional(rpps(1_000_000_002), "Sophie", "BERNARD", "21")
NADIA = professional(rpps(1_000_000_003), "Nadia", "LEFÈVRE", "60", CENTRE)
HUGO = professional(rpps(1_000_000_004), "Hugo", "MOREAU", "70")
STRUCK_OFF = professional(rpps(1_000_000_005), "Victor", "RADIÉ", "10", HOSPITAL)
SUSPENDED = professional(rpps(1_000_000_006), "Irène", "SUSPENDUE", "60", CENTRE)
WITHOUT_BOX = professional(rpps(1_000_000_007), "Luc", "SANSBOITE", "10", CENTRE)


def personal(local: str, holder: Professional, domain: str = DOMAIN) -> Account:
    """A person's box."""
    return Account(f"{local}@{domain}", BoxKind.PER, holder.name, holder)


ACCOUNTS: tuple[Account, ...] = (
    personal("claire.martin", CLAIRE),
    personal("paul.durand", PAUL),
    personal("sophie.bernard", SOPHIE),
    personal("nadia.lefevre", NADIA),
    personal("hugo.moreau", HUGO),
    Account(
        f"secretariat.lilas@{DOMAIN}",
        BoxKind.ORG,
        "Secrétariat du centre de santé des Lilas",
        structure=CENTRE,
        common_name="secretariat.lilas.demo.mssante.fr",
        delegates=(f"claire.martin@{DOMAIN}", f"paul.durand@{DOMAIN}"),
    ),
    Account(
        f"logiciel@{DOMAIN}",
        BoxKind.APP,
        "Logiciel de cabinet (démonstration)",
        structure=VENDOR,
        common_name="logiciel.editeur-demo.fr",
    ),
)

HOSPITAL_BOXES = tuple(
    ListedBox(f"{local}@{HOSPITAL_DOMAIN}", BoxKind.ORG, structure=HOSPITAL, service=service)
    for local, service in (("cardiologie", "Cardiologie"), ("urgences", "Urgences"))
)
LABORATORY_BOXES = (
    ListedBox(f"resultats@{LABORATORY_DOMAIN}", BoxKind.ORG, structure=LABORATORY, service="Résultats"),
)
"""Boxes that other operators hold."""


def refused_at(domain: str) -> tuple[RefusedBox, ...]:
    """An address for each reason. These people have, or had, a box at every operator of the demo."""
    return (
        RefusedBox(f"jean.inconnu@{domain}", Reason.NOT_REGISTERED),
        RefusedBox(f"victor.radie@{domain}", Reason.STRUCK_OFF, personal("victor.radie", STRUCK_OFF, domain)),
        RefusedBox("contact@hors-confiance.example", Reason.OUTSIDE_TRUST),
        RefusedBox(f"luc.sansboite@{domain}", Reason.NO_MAILBOX),
        RefusedBox(f"irene.suspendue@{domain}", Reason.SUSPENDED, personal("irene.suspendue", SUSPENDED, domain)),
    )


REFUSED = refused_at(DOMAIN)
CAST = Cast(DOMAIN, "demo", OPERATOR, ACCOUNTS, REFUSED)


def bulk_accounts(count: int, domain: str = DOMAIN) -> Iterator[Account]:
    """`--accounts N`: personal boxes `box0001@…`, of physicians and nurses in turn."""
    for n in range(1, count + 1):
        profession = "10" if n % 2 else "60"
        holder = professional(rpps(1_020_000_000 + n), f"Essai{n:04d}", "CHARGE", profession)
        yield personal(f"box{n:04d}", holder, domain)


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody and every box of an extract, accounts first."""

    professionals: Sequence[Professional]
    boxes: Sequence[ListedBox]

    def without(self, *national_ids: str) -> "Population":
        """The same a day later, these professionals and their boxes struck off."""
        gone = frozenset(national_ids)
        return replace(
            self,
            professionals=[p for p in self.professionals if p.national_id not in gone],
            boxes=[b for b in self.boxes if b.holder is None or b.holder.national_id not in gone],
        )


def populate(
    accounts: int = 0,
    people: int = POPULATION,
    boxes: int = BOXES,
    seed: int = SEED,
    casts: Sequence[Cast] = (CAST,),
) -> Population:
    """Make the demo's directory: the casts and bulk people, then made-up ones up to `people` and `boxes`."""
    named = [account for cast in casts for account in _named(cast, accounts)]
    # who has boxes at several operators is one person
    holders = {a.holder.national_id: a.holder for a in named if a.holder is not None}
    professionals = [*holders.values(), WITHOUT_BOX]
    listed = [a.listed for a in named]
    known = {box.address for box in listed}
    listed += [box for box in (*HOSPITAL_BOXES, *LABORATORY_BOXES) if box.address not in known]
    listed += [ListedBox(f"luc.sansboite@{cast.domain}", BoxKind.PER, WITHOUT_BOX) for cast in casts]
    random_ = random.Random(seed)  # noqa: S311 - made-up people, no secret
    structures = _structures(random_)
    crowd = list(_crowd(random_, structures, max(0, people - len(professionals))))
    listed += _crowd_boxes(random_, crowd, structures, max(0, boxes - len(listed)))
    return Population(professionals + crowd, listed)


def _named(cast: Cast, accounts: int) -> list[Account]:
    refused = (r.account for r in cast.refused if r.account is not None)
    return [*cast.accounts, *refused, *bulk_accounts(accounts, cast.domain)]


def _structures(random_: random.Random) -> list[Structure]:
    made = []
    for n in range(400):
        town, code = random_.choice(_TOWNS)
        kind, street = random_.choice(_PLACES), random_.choice(_STREETS)
        made.append(
            Structure(
                f"1{code}0{88_000 + n:05d}", f"{kind} {street.split()[-1]} {n:03d} (DEMO)", street, f"{code}000", town
            )
        )
    return made


def _crowd(random_: random.Random, structures: Sequence[Structure], count: int) -> Iterator[Professional]:
    codes = [code for code, _, weight in PROFESSIONS for _ in range(weight)]
    for n in range(count):
        code = random_.choice(codes)
        works = random_.random()
        places = random_.sample(structures, 0 if works < 0.3 else 1 if works < 0.88 else 2)
        category = "C" if random_.random() < 0.97 else "M"
        yield Professional(
            rpps(1_010_000_000 + n * 7),
            random_.choice(_SURNAMES),
            random_.choice(_GIVEN_NAMES),
            code,
            PROFESSION_LABELS[code],
            category,
            tuple(places),
        )


def _crowd_boxes(
    random_: random.Random, crowd: Sequence[Professional], structures: Sequence[Structure], count: int
) -> Iterator[ListedBox]:
    """Personal boxes of a part of the crowd, and one in seven a structure's; a few addresses stand on two rows."""
    if not crowd:
        return
    for n, holder in enumerate(random_.sample(crowd, min(count, len(crowd)))):
        # two colleagues on one address, as in 169 cases of the true extract
        number = n - 1 if n % 1000 == 999 else n
        domain = DOMAIN if number % 3 == 0 else OTHER_DOMAINS[number % len(OTHER_DOMAINS)]
        if number % 7 == 0:
            structure = structures[number // 7 % len(structures)]
            kind = BoxKind.APP if number % 70 == 0 else BoxKind.ORG
            yield ListedBox(f"service{n:04d}@{domain}", kind, structure=structure, service=random_.choice(_SERVICES))
        else:
            yield ListedBox(f"pro{number:04d}@{domain}", BoxKind.PER, holder)


_GIVEN_NAMES = (
    "Anne Émilie Françoise Marie Julie Léa Chloé Manon Inès Zoé Camille Sarah Aurélie Céline Hélène Jean-Pierre Michel "
    "Philippe Alain Nicolas Christophe Laurent Frédéric Stéphane David Thomas Julien Antoine Loïc Maël Jérôme Benoît "
    "Gaëlle Anaïs Noémie Raphaël Théo Hugo Louis Arthur Marie-Claude Anne-Sophie François Rémi Cédric Élodie Mathilde"
).split()
_SURNAMES = tuple(
    name.replace("_", " ")
    for name in (
        "MARTIN BERNARD THOMAS PETIT ROBERT RICHARD DURAND DUBOIS MOREAU LAURENT SIMON MICHEL LEFEBVRE LEROY ROUX "
        "DAVID BERTRAND MOREL FOURNIER GIRARD BONNET DUPONT LAMBERT FONTAINE ROUSSEAU VINCENT MULLER FAURE ANDRÉ "
        "MERCIER BLANC GUÉRIN BOYER GARNIER CHEVALIER FRANÇOIS LEGRAND GAUTHIER GARCIA PERRIN ROBIN CLÉMENT MORIN "
        "NICOLAS HENRY ROUSSEL MATHIEU GAUTIER MASSON MARCHAND DUVAL DENIS DUMONT MARIE LEMAIRE NOËL MEYER DUFOUR "
        "MEUNIER BRUN BLANCHARD GIRAUD JOLY RIVIÈRE LUCAS BRUNET GAILLARD BARBIER ARNAUD MARTÍNEZ GÉRARD ROCHE RENARD "
        "SCHMITT ROY LEROUX COLIN VIDAL CARON PICARD ROGER FABRE AUBERT LEMOINE RENAUD DUMAS LACROIX OLIVIER PHILIPPE "
        "BOURGEOIS PIERRE BENOÎT REY LECLERC PAYET ROLLAND LECLERCQ GUILLAUME LECOMTE LÓPEZ JEAN DUPUY GUILLOT HUBERT "
        "BERGER CARPENTIER SÁNCHEZ DUPUIS MOULIN LE_GOFF D'ARTAGNAN DE_LA_TOUR L'HERMITE"
    ).split()
)
_TOWNS = (
    ("PARIS", "75"),
    ("MARSEILLE", "13"),
    ("LYON", "69"),
    ("TOULOUSE", "31"),
    ("NICE", "06"),
    ("NANTES", "44"),
    ("CLERMONT FERRAND", "63"),
    ("SAINT ÉTIENNE", "42"),
    ("QUIMPER", "29"),
    ("BESANÇON", "25"),
)
_PLACES = ("CABINET MEDICAL", "MAISON DE SANTE", "PHARMACIE", "CENTRE HOSPITALIER", "CABINET INFIRMIER", "CLINIQUE")
_STREETS = (
    "RUE VICTOR HUGO",
    "AVENUE JEAN JAURES",
    "PLACE DE LA REPUBLIQUE",
    "BOULEVARD GAMBETTA",
    "RUE DE L'ÉGLISE",
    "CHEMIN DES VIGNES",
    "QUAI DU PORT",
)
_SERVICES = "Secrétariat Cardiologie Urgences Laboratoire Imagerie Gériatrie Pédiatrie Admissions".split()
