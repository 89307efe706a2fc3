"""Run every benchmark: `make bench`."""

from benchmarks import list_scaling, startup

if __name__ == "__main__":
    startup.main()
    list_scaling.main()
