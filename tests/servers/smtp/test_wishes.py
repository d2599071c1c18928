"""What a sender may ask for beside delivery: which doors offer it, what is kept of it, and what becomes of it."""

import pytest

from tests.servers.smtp.harbour import Harbour
from tests.servers.smtp.quay import CLAIRE_HERE, DOCTOR, Quay
from tests.support.houses import DOMAIN
from tests.support.town import CLAIRE

ME, PAUL = f"claire@{DOMAIN}", f"paul@{DOMAIN}"


@pytest.mark.parametrize("priority", [4, 0, -4])
async def test_those_who_sign_in_choose_a_priority(harbour: Harbour, priority: int) -> None:
    """It is taken as given, and stands in the trail and in Received where it isn't the usual one (RFC 6710 §4.1)."""
    client = await harbour.signed_in()
    assert (await client.ask(f"MAIL FROM:<{ME}> MT-PRIORITY={priority}")).startswith("250 2.1.0")
    await client.ask(f"RCPT TO:<{PAUL}>")
    await client.ask("DATA")
    assert (await client.ask(f"From: {ME}", "", "x", ".")).startswith("250 2.6.0")
    (kept,) = await harbour.messages()
    assert (f"\r\n PRIORITY {priority};\r\n".encode() in kept) is (priority != 0)
    (said,) = [said for said in map(harbour.home.house.trail.open, harbour.trail()) if "recipients" in str(said)]
    assert (f"'priority': {priority}" in str(said)) is (priority != 0)


@pytest.mark.parametrize(
    ("priority", "reply", "kept_as"), [(9, "250 2.3.6 0 ", 0), (0, "250 2.1.0", 0), (-4, "250 2.1.0", -4)]
)
async def test_operators_raise_no_priority(quay: Quay, priority: int, reply: str, kept_as: int) -> None:
    """Another operator's message may be less pressing than others, never more (RFC 6710 §4.1); it is told so."""
    client = await quay.call(quay.hospital)
    assert (await client.ask(f"MAIL FROM:<{DOCTOR}> MT-PRIORITY={priority}")).startswith(reply)
    await client.ask(f"RCPT TO:<{CLAIRE_HERE}>")
    await client.ask("DATA")
    assert (await client.ask(f"From: {DOCTOR}", "", "x", ".")).startswith("250 2.6.0")
    (kept,) = await quay.read(CLAIRE)
    assert (b" PRIORITY " in kept) is (kept_as != 0)
    assert quay.last("received")[2].get("priority", 0) == kept_as


@pytest.mark.parametrize(
    ("by", "reply", "kept_as"),
    [
        ("3600;R", "250", "3600;R"),
        ("+60;nt", "250", "60;NT"),
        ("-5;N", "250", "-5;N"),
        ("59;R", "555 5.5.4", None),
        ("0;R", "501 5.5.4", None),
        ("60", "501 5.5.4", None),
    ],
)
async def test_a_time_for_delivery(harbour: Harbour, by: str, reply: str, kept_as: str | None) -> None:
    """BY is read strictly, a time to return at not below the minimum that is announced (RFC 2852 §4)."""
    client = await harbour.signed_in()
    assert "250-DELIVERBY 60" in (await client.ask("EHLO me")).split("\n")
    assert (await client.ask(f"MAIL FROM:<{ME}> BY={by}")).startswith(reply)
    if kept_as is not None:
        await client.ask(f"RCPT TO:<{PAUL}>")
        await client.ask("DATA")
        assert (await client.ask(f"From: {ME}", "", "x", ".")).startswith("250 2.6.0")
        assert f"'by': '{kept_as}'" in "".join(str(harbour.home.house.trail.open(row)) for row in harbour.trail())


@pytest.mark.parametrize(
    ("said", "text", "eight_bit"),
    [("", "bonjour", False), (" BODY=7BIT", "bonjour", False), ("", "été", True), (" BODY=8BITMIME", "bonjour", True)],
)
async def test_what_wasnt_announced_is_seen(harbour: Harbour, said: str, text: str, *, eight_bit: bool) -> None:
    """Octets above 127 are known of whether or not BODY announced them (RFC 6152 §3)."""
    client = await harbour.signed_in()
    await client.ask(f"MAIL FROM:<{ME}>{said}")
    await client.ask(f"RCPT TO:<{PAUL}>")
    await client.ask("DATA")
    assert (await client.ask(f"From: {ME}", "", text, ".")).startswith("250 2.6.0")
    told = "".join(str(harbour.home.house.trail.open(row)) for row in harbour.trail())
    assert ("'body': '8BITMIME'" in told) is eight_bit
