"""Files are put in place whole."""

import os
from pathlib import Path

import pytest

from mssmail.files import put_in_place, write_beside, write_whole


def test_whole(tmp_path: Path) -> None:
    """The new content stands under the name, by its mode, and nothing is left beside it, be it of a crash."""
    file = tmp_path / "file"
    (tmp_path / "file.new").write_bytes(b"of a crash")
    for content in (b"one", b"two"):
        write_whole(file, content)
        assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_previous(tmp_path: Path) -> None:
    """What stood there before is kept, where there was anything; and the umask counts."""
    file, previous = tmp_path / "file", tmp_path / "file.previous"
    before = os.umask(0o027)
    try:
        put_in_place(write_beside(file, b"one", 0o666), file, previous)
        assert not previous.exists()
        put_in_place(write_beside(file, b"two", 0o666), file, previous)
    finally:
        os.umask(before)
    assert (file.read_bytes(), previous.read_bytes()) == (b"two", b"one")
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [file, previous]


def test_no_folder(tmp_path: Path) -> None:
    """A folder that isn't there is an error, and what stands is left alone."""
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", b"x")
    assert list(tmp_path.iterdir()) == []
