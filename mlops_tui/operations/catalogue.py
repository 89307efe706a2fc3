"""Every verb there is."""

from mlops_tui.operations.approve import Approve
from mlops_tui.operations.archive import Archive
from mlops_tui.operations.base import Verb
from mlops_tui.operations.cancel import Cancel
from mlops_tui.operations.checklist import Checklist
from mlops_tui.operations.comment import Comment
from mlops_tui.operations.dispatch import Dispatch
from mlops_tui.operations.promote import Promote
from mlops_tui.operations.release import RollbackRelease
from mlops_tui.operations.rerun import Rerun
from mlops_tui.operations.restart import Pause, Restart, Resume
from mlops_tui.operations.restore import Restore
from mlops_tui.operations.review import Review
from mlops_tui.operations.rollback import Rollback
from mlops_tui.operations.scale import Scale
from mlops_tui.operations.tick import Tick
from mlops_tui.operations.traffic import Traffic

VERBS: tuple[Verb, ...] = (
    Promote(), Restore(), Archive(),
    Scale(), Rollback(), Restart(), Pause(), Resume(), Traffic(), RollbackRelease(),
    Comment(), Tick(), Checklist(), Review(),
    Rerun(), Cancel(), Dispatch(), Approve(),
)  # fmt: skip
"""In the order in which help shows them."""
