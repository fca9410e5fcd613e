"""`python -m marin.cli`, for environments where the `marin` script is not on the path."""

from marin.cli.main import main

if __name__ == "__main__":
    main()
