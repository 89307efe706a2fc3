"""Run every benchmark: `make bench`."""

import sys

from benchmarks import list_scaling, startup

if __name__ == "__main__":
    startup.main()
    sys.exit(list_scaling.main())
