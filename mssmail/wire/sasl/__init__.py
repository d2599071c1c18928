"""SASL, server side (RFC 4422): `registry` lists the mechanisms, `exchange` drives one. Pure: no socket, no clock."""
