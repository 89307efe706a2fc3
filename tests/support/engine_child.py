"""An engine's process over a scripted source, for the tests of the wire; takes the number of rows, and a journal."""

import sys
from pathlib import Path

from mlops_tui.domain.errors import ConfigError
from mlops_tui.engine.engine import Engine
from mlops_tui.engine.process import run_stdio
from tests.support.painting import paint_desk
from tests.support.scripted import SCOPE, ScriptedSource


def make() -> Engine:
    if sys.argv[1] == "broken":
        raise ConfigError("mlops-tui.toml: unknown key gihub; did you mean github?")
    journal = Path(sys.argv[2])
    return Engine([ScriptedSource(size=int(sys.argv[1]))], SCOPE, desk=lambda tell: paint_desk(journal, tell))


if __name__ == "__main__":
    sys.stderr.write("a stray line that must not reach the wire\n")
    sys.exit(run_stdio(make))
