"""Run every benchmark: `make bench`."""

import sys

from benchmarks import list_scaling, startup, world

if __name__ == "__main__":
    startup.main()
    sys.exit(list_scaling.main() | world.main())
