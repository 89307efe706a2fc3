"""Changes from the installed command's keys, in the embedded world, every exchange judged."""

from tests.e2e.conftest import COMMAND
from tests.e2e.test_dashboard import LIVE
from tests.support.terminal import Terminal


def test_a_rollout_is_scaled_and_the_operation_undone(judged_home: dict[str, str]) -> None:
    with Terminal([COMMAND, "demo"], env=judged_home) as terminal:
        terminal.wait_for(*LIVE, "ml-staging/ranker")
        terminal.send("4")
        terminal.send("/ml-staging/ranker")
        terminal.wait_for("ml-staging/ranker", absent=["ml/churn"])
        terminal.send("\r")
        terminal.send("s")
        terminal.wait_for("Scale ml-staging/ranker", "nothing to do")
        terminal.send("+")
        terminal.wait_for("from 1 to 2 replicas", "--replicas=2", absent=["nothing to do"])
        terminal.send("y")
        terminal.wait_for("successfully rolled out", "done")
        terminal.send("\x1b")
        terminal.wait_for("2/2", absent=["--replicas=2"])
        terminal.send("@")
        terminal.wait_for("Operations", "Scale ml-staging/ranker from 1 to 2 re")
        terminal.send("u")
        terminal.wait_for("from 2 to 1 replicas", "--replicas=1")
        terminal.send("y")
        terminal.wait_for("from 2 to 1 replicas", "successfully rolled out", absent=["--replicas=1"])
        terminal.send("\x1b")
        terminal.wait_for("esc dashboard", absent=["successfully rolled out"])
        terminal.send("\x1b")
        terminal.wait_for("Workflows", "1/1")
        terminal.send("q")
        assert terminal.wait_end() == 0


def test_read_only_opens_no_plan_and_says_why(judged_home: dict[str, str]) -> None:
    with Terminal([COMMAND, "demo", "--read-only"], env=judged_home) as terminal:
        terminal.wait_for(*LIVE, "ml/churn", "READ-ONLY")
        terminal.send("4")
        terminal.send("s")
        terminal.wait_for("this is read-only", absent=["Replicas"])
        terminal.send("q")
        assert terminal.wait_end() == 0
