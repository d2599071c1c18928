"""Which verbs are given to a house at all. Apart from `administer`: every call asks this before anything heavy."""

from mssmail.policy.administer import VERBS, Place


def runs_here(verb: str) -> bool:
    """Whether a verb is never asked of a server: it touches no house, or founds or starts one."""
    return isinstance(VERBS.get(verb, Place.MACHINE), Place)
