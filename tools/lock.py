"""Write requirements.lock and environment.yml from what is installed in the running environment.

Run through `make lock` after changing a version in the virtual environment.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIP = {"msig-lib", "pip"}


def pins() -> list[str]:
    """Return sorted `name==version` lines, local version parts (`+cpu`) removed."""
    out = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = [re.sub(r"\+.*$", "", line) for line in out.splitlines() if "==" in line]
    return sorted((ln for ln in lines if ln.split("==")[0].lower() not in SKIP), key=str.lower)


def main() -> None:
    lines = pins()
    head = "# Written by `make lock`; every version the book was made with.\n"
    (ROOT / "requirements.lock").write_text(head + "\n".join(lines) + "\n")
    env = [
        "# Written by `make lock`; the same pins as requirements.lock.",
        "name: msig",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    env += [f"      - {line}" for line in lines]
    (ROOT / "environment.yml").write_text("\n".join(env) + "\n")
    print(f"{len(lines)} pins written to requirements.lock and environment.yml")


if __name__ == "__main__":
    main()
