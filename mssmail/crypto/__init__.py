"""Sealing and keys: formats on disk, envelopes, the key store and its providers.

Knows no message, account rule or SQL of the mail store.
"""
