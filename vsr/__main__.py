"""`python -m vsr`."""

from __future__ import annotations

from vsr.cli.main import main

if __name__ == "__main__":
    main()
