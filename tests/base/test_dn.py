"""Distinguished names: what is read, what is refused, and which are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.dn import MAX_ATTRIBUTES, DistinguishedName

CN, OU, ORG, ST, C = "2.5.4.3", "2.5.4.11", "2.5.4.10", "2.5.4.8", "2.5.4.6"


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("CN=a,C=FR", ((CN, "a"), (C, "FR"))),
        ("cn = a , c=FR ", ((CN, "a"), (C, "FR"))),
        ("CN=a+OU=b,C=FR", ((CN, "a"), (OU, "b"), (C, "FR"))),
        ("CN=a;C=FR", ((CN, "a"), (C, "FR"))),
        (r"O=Sue\, Grabbit and Runn,C=FR", ((ORG, "Sue, Grabbit and Runn"), (C, "FR"))),
        ('O="Sue, Grabbit; and <Runn>" ,C=FR', ((ORG, "Sue, Grabbit; and <Runn>"), (C, "FR"))),
        (r"O=\C3\A9lan\20,C=FR", ((ORG, "élan "), (C, "FR"))),
        (r"O=a\ ,C=FR", ((ORG, "a "), (C, "FR"))),
        ("ST=Puy-de-Dôme (63),C=FR", ((ST, "Puy-de-Dôme (63)"), (C, "FR"))),
        ("2.5.4.97=NTRFR-1,C=FR", (("2.5.4.97", "NTRFR-1"), (C, "FR"))),
        ("OID.2.5.4.97=x", (("2.5.4.97", "x"),)),
        ("O=1=2", ((ORG, "1=2"),)),
        ("CN=\x1f", ((CN, "\x1f"),)),
    ],
)  # fmt: skip
def test_printed_names_are_read(text: str, attributes: tuple[tuple[str, str], ...]) -> None:
    """Names as RFC 4514 and RFC 2253 print them give their attributes in order."""
    name = DistinguishedName.parse(text)
    assert name is not None
    assert name.attributes == attributes


@pytest.mark.parametrize(
    "text",
    ["", ",", "CN", "CN=", "CN=a,", "=a", "CN=a,,C=FR", "NOPE=a", "CN=#0401", 'CN="a', 'CN="a"b', r"CN=\zz", "CN=a\\",
     r"CN=\ff", "CN=<a>", "CN=a\0b", "CN=" + "a" * 3000, ",".join(["CN=a"] * (MAX_ATTRIBUTES + 1))],
)  # fmt: skip
def test_what_is_no_name_is_none(text: str) -> None:
    """Anything else is told apart, whatever its length."""
    assert DistinguishedName.parse(text) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("CN=a,OU=1,C=FR", "C=FR, OU=1, CN=a", True),
        ("CN=a+OU=1,C=FR", "CN=a,OU=1,C=FR", True),
        ("CN=Mail.Example.FR", "cn=mail.example.fr", True),
        ("ST=Puy-de-Dôme (63)", "ST=Puy-de-Do\u0302me (63)", True),
        ("O=GIP  MIPIH", "O=GIP MIPIH", True),
        ("ST=Puy-de-Dôme (63)", "ST=Puy-de-Dome (63)", False),
        ("CN=a,OU=b", "CN=b,OU=a", False),
        ("CN=a", "CN=a,C=FR", False),
        ("OU=a,OU=a", "OU=a", False),
        (r"CN=a\,OU=b", "CN=a,OU=b", False),
    ],
)
def test_names_are_compared_attribute_by_attribute(one: str, other: str, *, same: bool) -> None:
    """Order, grouping, case and spacing don't tell two names apart; accents, attributes and their number do."""
    left, right = DistinguishedName.parse(one), DistinguishedName.parse(other)
    assert left is not None
    assert right is not None
    assert (left == right) is same
    assert (len({left, right}) == 1) is same


_value = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text.strip(" ") != "" and "\0" not in text
)


@given(st.lists(st.tuples(st.sampled_from([CN, OU, ORG, ST, C, "1.2.3"]), _value), min_size=1, max_size=8))
def test_what_is_printed_is_read_again(attributes: list[tuple[str, str]]) -> None:
    """A name of any attributes is the same after printing and reading."""
    name = DistinguishedName.of(attributes)
    assert DistinguishedName.parse(str(name)) == name


@given(st.text(max_size=60))
def test_anything_may_be_presented(text: str) -> None:
    """No text raises."""
    DistinguishedName.parse(text)
