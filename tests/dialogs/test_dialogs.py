"""Each dialogue file is what server and clients say, on both loops."""

from pathlib import Path

import pytest

from tests.dialogs.script import Dialog
from tests.servers.imap.harness import LOOPS, Site, run

FILES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_dialog(file: Path, loop: str, tmp_path: Path) -> None:
    """The server says what the file says, no more and no less."""

    async def main() -> None:
        site = Site(tmp_path)
        await site.open()
        try:
            await Dialog(site).play(file)
        finally:
            await site.close()

    run(main(), loop)
