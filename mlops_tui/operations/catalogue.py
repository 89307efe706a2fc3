"""Every verb there is."""

from mlops_tui.operations.base import Verb
from mlops_tui.operations.restart import Pause, Restart, Resume
from mlops_tui.operations.rollback import Rollback
from mlops_tui.operations.scale import Scale

VERBS: tuple[Verb, ...] = (Scale(), Rollback(), Restart(), Pause(), Resume())
"""In the order in which help shows them."""
