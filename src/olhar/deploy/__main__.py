"""`python -m olhar.deploy train` and `… serve`: the entry point of the container."""

import sys

from olhar.deploy.container import main

if __name__ == "__main__":
    sys.exit(main())
