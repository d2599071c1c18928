"""The use-cases, one file a verb: what may be done with mail, and the only way to it.

Servers and commands come through here, so nothing is read or changed without passing where the trail is written.
Knows no protocol. `House` carries the rooms' services from `app` to every use-case.
"""
