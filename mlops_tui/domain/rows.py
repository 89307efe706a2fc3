"""The closed set of rows, told apart by their `kind`."""

from typing import Annotated

from pydantic import Field

from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.operation import OperationRow
from mlops_tui.domain.pull import PullRow
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.domain.workflow import RunRow

Row = RunRow | VersionRow | RolloutRow | PullRow | OperationRow
AnyRow = Annotated[Row, Field(discriminator="kind")]
"""A row as a pydantic field: its class follows from `kind`."""
