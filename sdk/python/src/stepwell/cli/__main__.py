"""`python -m stepwell.cli`, the same as `stepwell`."""

from . import main

if __name__ == "__main__":
    main()
