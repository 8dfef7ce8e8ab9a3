"""Builds when told to, each time in a process of its own that can be killed.

Reads a line, forks, lets the child build with the fake encoder, and writes the child's number,
then, once it has ended, how. Forking a process that has imported everything makes it quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fakes import FakeEncoder
from qa.config import Settings
from qa.ingest import build


def main() -> None:
    """Serve lines until there are no more."""
    settings = Settings(corpus=Path(sys.argv[1]), index=Path(sys.argv[2]))
    build(settings, FakeEncoder())  # imports what a build imports
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            build(settings, FakeEncoder())
            os._exit(0)
        tell(child)
        tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def tell(number: int) -> None:
    """Write a number at once."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
