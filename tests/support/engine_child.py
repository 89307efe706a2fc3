"""An engine's process over a scripted source, for the tests of the wire; takes the number of rows."""

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
    sys.stderr.write("a stray line that must not reach the wire\n")
    sys.exit(run_stdio(make))
