"""Python imports this before anything else where the folder is on its path: puts the judge before a world's servers.

It does so in the process of `mlops_tui.demo.world` alone, so that a test of `mlops-tui demo` judges what its dashboard
and its world say to each other, though nobody can stand between them.
"""

import os
import sys

if "mlops_tui.demo.world" in sys.orig_argv and "JUDGE_FOLDER" in os.environ:
    from tests.support.judge import judge_world

    judge_world(os.environ["JUDGE_FOLDER"])
