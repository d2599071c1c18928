"""Mail carried to a host that behaves: what it is told, what it gets, what is reported, and how connections serve."""

from mssmail.base.relay import Cause
from tests.servers.smtp.courier.jetty import MESSAGE, Jetty, causes, errand, message


async def test_delivered(jetty: Jetty) -> None:
    """A message arrives octet by octet, and the attempt says where and how it was taken."""
    sink = await jetty.sink()
    attempt = await jetty.to(sink).carry(errand(), message)
    assert causes(attempt) == [Cause.DELIVERED]
    (taken,) = sink.messages
    assert taken.octets == MESSAGE
    assert attempt.hop is not None
    assert (attempt.hop.host, attempt.hop.client, attempt.hop.tls) == ("127.0.0.1", "127.0.0.1", "TLSv1.3")
    assert attempt.hop.operator == "CN=LABO"
    assert str(attempt.outcomes[0].answer) == "250 2.0.0 taken as 1"
