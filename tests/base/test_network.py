"""Clients' addresses and networks."""

from ipaddress import ip_network

import pytest

from mssmail.base.network import client_address, within


@pytest.mark.parametrize(
    ("client", "network", "lies_in"),
    [
        ("192.0.2.7", "192.0.2.0/24", True),
        ("192.0.3.7", "192.0.2.0/24", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "::/0", False),
        ("2001:db8::5", "2001:db8::5", True),
        ("2001:db8::6", "2001:db8::5", False),
        ("fe80::1%eth0", "fe80::/10", True),
        ("2001:db8::5", "0.0.0.0/0", False),
        ("nonsense", "0.0.0.0/0", False),
        ("", "::/0", False),
    ],
)
def test_within(client: str, network: str, lies_in: bool) -> None:
    """An address lies in a network to its last bit, whatever its spelling; what is no address lies in none."""
    assert within(client, (ip_network("198.51.100.0/24"), ip_network(network))) is lies_in
    assert not within(client, ())


def test_no_address() -> None:
    """What isn't an address is an error."""
    with pytest.raises(ValueError, match="address"):
        client_address("mail.example")
