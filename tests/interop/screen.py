"""A screen without a monitor, and the hands before it: Xvfb, xdotool and ImageMagick's `import`.

Knows windows by their titles. Whoever uses it waits for what a window's title or the server says, never for a time.
"""

import os
import subprocess
from pathlib import Path
from typing import Self

from tests.interop.witness import until

SIZE = "1280x800"
LOOKS = 6
"""So many pictures of a window in a row, taken some 0.3 s apart, are alike once a page is drawn."""
PAGE_OCTETS = 20_000
"""A PNG of a page of ours takes more, one of a blank page under an address less."""


class Screen:
    """A running X server of its own; a context manager that ends it."""

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "Xvfb found no display"
        self.environment = {**os.environ, "DISPLAY": f":{number}"}
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait(10)

    def _xdotool(self, *arguments: str) -> str:
        ran = subprocess.run(["xdotool", *arguments], capture_output=True, text=True, env=self.environment)
        return ran.stdout

    def windows(self, title: str) -> list[str]:
        """The visible windows whose title has that regular expression."""
        return self._xdotool("search", "--onlyvisible", "--name", title).split()

    def focus(self, title: str, seconds: float = 30) -> str:
        """Wait for a window of that title, and turn the keyboard to it; its number."""
        window = until(lambda: self.windows(title), f"a window {title!r}", seconds)[-1]
        self._xdotool("windowraise", window, "windowfocus", "--sync", window)
        return window

    def press(self, *keys: str) -> None:
        """Press keys, each by its name as `ctrl+Return`, in the window that has the focus."""
        self._xdotool("key", "--delay", "60", *keys)

    def type(self, text: str) -> None:
        """Type ASCII text into what has the focus."""
        self._xdotool("type", "--delay", "15", text)

    def click(self, x: int, y: int) -> None:
        """Click on that point of the screen."""
        self._xdotool("mousemove", str(x), str(y), "click", "1")

    def settled(self, title: str, unlike: bytes = b"") -> bytes:
        """Wait until a window of that title shows a whole page, other than `unlike`, and no more changes; its picture.

        It isn't whole where it packs into few octets: a blank page under an address does.
        """
        seen = [unlike]

        def still() -> bool:
            window = self.windows(title)[-1:]
            command = ["import", "-window", *window, "-strip", "png:-"]  # without the time that it was taken
            ran = subprocess.run(command, env=self.environment, capture_output=True) if window else None
            seen.append(ran.stdout if ran is not None and ran.returncode == 0 else unlike)
            latest = seen[-LOOKS:]
            return (
                len(latest) == LOOKS and len(set(latest)) == 1 and unlike != latest[0] and len(latest[0]) > PAGE_OCTETS
            )

        until(still, f"a settled window {title!r}")
        return seen[-1]

    def keep(self, file: Path) -> None:
        """Keep a picture of the whole screen."""
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["import", "-window", "root", str(file)], env=self.environment, check=True)
