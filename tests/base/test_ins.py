"""The key of the INS matricule."""

import pytest

from mssmail.base.ins import is_ins


def with_key(number: str, counted: str | None = None) -> str:
    return f"{number}{97 - int(counted or number) % 97:02d}"


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        (with_key("1850578006084"), True),
        (with_key("185052A006084", "1850519006084"), True),
        (with_key("185052b006084", "1850518006084"), True),
        (with_key("1850578006084")[:-2] + "00", False),
        (with_key("185052A006084", "1850518006084"), False),
        (with_key("1850578006084")[:-1], False),
        (with_key("1850578006084") + "1", False),
        ("1850578A06084" + "36", False),
        ("١٨٥٠٥٧٨٠٠٦٠٨٤٣٦", False),
        ("", False),
    ],
)
def test_key(text: str, sound: bool) -> None:
    """Fifteen signs with the key of thirteen, Corsican departments counted as 19 and 18; nothing else."""
    assert is_ins(text) is sound
