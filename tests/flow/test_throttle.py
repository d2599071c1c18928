"""How much goes to a domain at once."""

import pytest

from mssmail.flow.throttle import share


@pytest.mark.parametrize(
    ("most", "workers", "each"), [(20, 1, 20), (20, 2, 10), (20, 3, 7), (20, 20, 1), (20, 64, 1), (1, 1, 1)]
)
def test_share(most: int, workers: int, each: int) -> None:
    """However many workers there are, each has a share, and none of it is left over."""
    assert share(most, workers) == each
