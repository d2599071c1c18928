"""The nouns every room shares: addresses, ids, principals, refusals, secrets, time.

Knows no protocol, storage or I/O.
"""
