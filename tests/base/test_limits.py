"""An account's own limits: where it signs in from, and how they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.limits import NO_LIMITS, Limits, network


@pytest.mark.parametrize(
    ("networks", "client", "let_in"),
    [
        ((), "192.0.2.1", True),
        ((), "nonsense", True),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.0", False),
        (("192.0.2.7/32",), "192.0.2.7", True),
        (("192.0.2.0/24",), "::ffff:192.0.2.1", True),
        (("192.0.2.0/24",), "::ffff:192.0.3.1", False),
        (("192.0.2.0/24",), "2001:db8::1", False),
        (("2001:db8::/32",), "2001:db8:ffff::1", True),
        (("2001:db8::/32",), "2001:db9::", False),
        (("2001:db8::/32",), "192.0.2.1", False),
        (("198.51.100.0/24", "192.0.2.0/24"), "192.0.2.1", True),
        (("192.0.2.0/24",), "nonsense", False),
        (("192.0.2.0/24",), "", False),
    ],
)
def test_lets_in(networks: tuple[str, ...], client: str, let_in: bool) -> None:
    """A client is let in from any of the networks, from everywhere where none is named; in doubt it isn't."""
    assert Limits(networks=networks).lets_in(client) is let_in


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
    ],
)
def test_network(text: str, read: str) -> None:
    """Networks are kept in one spelling."""
    assert network(text) == read


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2", "localhost", "", "192.0.2.0/33", "2001:db8::1/32", "é"])
def test_no_network(text: str) -> None:
    """What could be meant in two ways, or in none, is no network."""
    with pytest.raises(ValueError, match=r"."):
        network(text)


_counts = st.none() | st.integers(0, 10_000_000)


@given(st.builds(Limits, _counts, _counts, _counts, _counts, _counts, st.sampled_from([(), ("192.0.2.0/24",)])))
def test_kept(limits: Limits) -> None:
    """Limits are read back as they were stored, and what isn't set takes no room."""
    assert Limits.read(limits.stored()) == limits
    assert NO_LIMITS.stored() == {}
