"""A courier and hosts for it, for every test here."""

from tests.servers.smtp.courier.jetty import jetty

__all__ = ["jetty"]
