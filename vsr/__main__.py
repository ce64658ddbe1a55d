"""`python -m vsr`."""

from vsr.cli import main

if __name__ == "__main__":
    main()
