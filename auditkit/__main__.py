"""Entry point of `python -m auditkit`, for launchers that start modules."""

from auditkit.cli import main

if __name__ == "__main__":
    main()
