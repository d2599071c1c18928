"""Resources of the API are read into people, structures and boxes, and nothing else does harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.directory.model import Fault
from mssmail.directory.resource import Held, read
from tests.support.annuaire import box, organisation, practitioner, role

PERSON = "810000000017"


def test_practitioner() -> None:
    """Id, names, professions with their category, and the telecoms that are boxes, the red list told."""
    resource = practitioner(
        "p1",
        PERSON,
        professions=[("10", "C"), ("21", "M")],
        telecom=[box("A.B@h.mssante.fr", red=True, service="Cardio")],
    )
    resource["telecom"].append({"system": "email", "value": "private@example.org"})
    resource["telecom"].append({"system": "phone", "value": "0102030405"})
    assert read(resource, {}) == Held(
        "Practitioner/p1",
        True,
        PERSON,
        "",
        "MARTIN",
        "Claire Anne",
        "10:C 21:M",
        (("a.b@h.mssante.fr", "PER", "A.B@h.mssante.fr", "Cardio", 1),),
    )


@pytest.mark.parametrize(
    ("identifiers", "person"),
    [
        ([("urn:oid:1.2.250.1.71.4.2.1", PERSON)], PERSON),
        ([("https://rpps.esante.gouv.fr", PERSON[1:])], PERSON),
        ([("https://rpps.esante.gouv.fr", "x"), ("urn:oid:1.2.250.1.71.4.2.1", PERSON)], PERSON),
        ([("http://elsewhere", PERSON)], None),
        ([("urn:oid:1.2.250.1.71.4.2.1", "81 0000")], None),
        ([], None),
    ],
)
def test_national_id(identifiers: list[tuple[str, str]], person: str | None) -> None:
    """The national id is taken, or made of the RPPS number; without either the resource is left out."""
    resource = practitioner("p1", PERSON)
    resource["identifier"] = [{"system": s, "value": v} for s, v in identifiers]
    held = read(resource, {})
    assert held == Fault.MISSING_ID if person is None else isinstance(held, Held) and held.person == person


@pytest.mark.parametrize("red", [True, False, None])
def test_red_list(red: bool | None) -> None:
    """Red-listed, not red-listed and unsaid are three things."""
    held = read(practitioner("p1", PERSON, telecom=[box("a@h.fr", red=red)]), {})
    assert isinstance(held, Held)
    assert held.boxes[0][4] == (None if red is None else int(red))


def test_role() -> None:
    """A box on a role is the person's at the structure; both come along in the page."""
    org = organisation("o1", "1750712184", name="CENTRE")
    beside = {"Practitioner/p1": practitioner("p1", PERSON), "Organization/o1": org}
    resource = role("r1", "p1", "o1", telecom=[box("a@h.fr")])
    assert read(resource, beside) == Held(
        "PractitionerRole/r1", True, PERSON, "1750712184", "CENTRE", "", "", (("a@h.fr", "PER", "a@h.fr", "", None),)
    )
    assert read(resource, {"Organization/o1": org}) is Fault.UNRESOLVED
    assert read(resource, {"Practitioner/p1": practitioner("p1", PERSON)}) is Fault.UNRESOLVED
    assert read(role("r1", "p1", "o1"), {}) == Held("PractitionerRole/r1", False)


def test_organisation() -> None:
    """A structure's boxes bear its id; one without boxes isn't kept."""
    held = read(organisation("o1", "1750712184", telecom=[box("s@h.fr", kind="ORG"), box("l@h.fr", kind="APP")]), {})
    assert isinstance(held, Held)
    assert (held.structure, [b[1] for b in held.boxes]) == ("1750712184", ["ORG", "APP"])
    assert read(organisation("o1", "1750712184"), {}) == Held("Organization/o1", False)
    nameless = organisation("o1", "", telecom=[box("s@h.fr", kind="ORG")])
    assert read(nameless, {}) is Fault.MISSING_ID
    nameless["identifier"] = [{"system": "https://finess.esante.gouv.fr", "value": "750712184"}]
    held = read(nameless, {})
    assert isinstance(held, Held)
    assert held.structure == "1750712184"


def test_inactive() -> None:
    """What is inactive is to be forgotten, whatever else it says."""
    assert read(practitioner("p1", PERSON, active=False), {}) == Held("Practitioner/p1", False)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["Practitioner", "PractitionerRole", "Organization", "Patient", ""]),
    st.dictionaries(
        st.sampled_from(
            ["id", "active", "identifier", "name", "telecom", "qualification", "practitioner", "organization"]
        ),
        _JSON,
    ),
    _JSON,
    st.sampled_from(["system", "value", "extension", "code"]),
)
def test_any_json(kind: str, fields: dict[str, object], odd: object, at: str) -> None:
    """Whatever a field holds, the answer is something to keep or a fault, fit for UTF-8."""
    telecom = [dict(box("a@h.fr"), **{at: odd})]
    for resource in ({"resourceType": kind, **fields}, {**practitioner("p1", PERSON), "telecom": telecom, **fields}):
        held = read(resource, {"Practitioner/x": resource})
        assert isinstance(held, Held | Fault)
        if isinstance(held, Held):
            json.dumps(held.boxes, ensure_ascii=False).encode()
            (held.name + held.given + held.person + held.key).encode()
