"""Sockets, TLS and connections, for every protocol. Knows none of them."""
