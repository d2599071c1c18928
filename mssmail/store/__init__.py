"""The sealed store: schema, engine, lanes and bodies.

Sees sealed octets, ids, sizes, flags and dates, never content.
"""
