"""Tokens of OpenID providers: whether one is good, and which professional it speaks for.

`token` reads the form, `keyset` the keys, `claims` judges what is said, `provider` asks over HTTPS, `providers` is the
door. Nothing here knows accounts, boxes or a mail protocol.
"""
