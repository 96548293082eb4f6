"""Tell where a run is: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any

EVERY_S = 5.0  # between plain lines of one notebook, so that logs stay short


class Progress:
    """Progress over notebooks and their cells; use as a context manager around a whole command."""

    def __init__(self, total: int, console: Any = None):
        from rich.console import Console

        self.console = console or Console(highlight=False, soft_wrap=True)
        self.total = total
        self.done = 0
        self.label = ""
        self.detail = ""
        self.started = self.printed = time.monotonic()
        self._live: Any = None

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._line, console=self.console, refresh_per_second=4, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _line(self) -> Any:
        from rich.text import Text

        if not self.label:
            return Text("")
        return Text(f"{self._head()} {self.seconds():.0f} s", no_wrap=True, overflow="ellipsis")

    def _head(self) -> str:
        return f"[{self.done}/{self.total}] {self.label} {self.detail}".rstrip()

    def seconds(self) -> float:
        """Return the seconds since the present notebook began."""
        return time.monotonic() - self.started

    def notebook(self, label: str) -> None:
        """Begin the next notebook."""
        self.done += 1
        self.label, self.detail = label, "starting"
        self.started = self.printed = time.monotonic()

    def cell(self, number: int, total: int, heading: str = "") -> None:
        """Say which cell begins and below which heading it stands."""
        self.detail = f"cell {number}/{total}" + (f" · {heading}" if heading else "")
        if self._live is None and time.monotonic() - self.printed >= EVERY_S:
            self.printed = time.monotonic()
            self.say(f"{self._head()} {self.seconds():.1f} s")

    def finish(self, told: str) -> None:
        """End the present notebook with one line that stays."""
        self.detail = ""
        self.say(f"{self._head()} {told}")
        self.label = ""

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, markup=False)
