"""An engine's process over a scripted source, for the tests of the wire: `python -m tests.support.engine_child SIZE`."""

import sys

from mlops_tui.domain.errors import ConfigError
from mlops_tui.engine.engine import Engine
from mlops_tui.engine.process import run_stdio
from tests.support.scripted import SCOPE, ScriptedSource


def make() -> Engine:
    if sys.argv[1] == "broken":
        raise ConfigError("mlops-tui.toml: unknown key gihub; did you mean github?")
    return Engine([ScriptedSource(size=int(sys.argv[1]))], SCOPE)


if __name__ == "__main__":
    print("a stray line that must not reach the wire", file=sys.stderr)
    sys.exit(run_stdio(make))
