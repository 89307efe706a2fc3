"""Zip files that are the same bytes whenever they are made."""

import functools
import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mlops_tui.demo.github.model import Artifact

_UNIX: Final = 3
_MODE: Final = 0o100644 << 16


def archive(files: Mapping[str, bytes], at: datetime) -> bytes:
    """Return a zip file of the files, which are from `at`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, at.timetuple()[:6])
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, _UNIX, _MODE
            target.writestr(entry, data)
    return buffer.getvalue()


@functools.lru_cache(maxsize=256)
def zip_of(artifact: Artifact) -> bytes:
    """Return an artifact as it is downloaded."""
    return archive(artifact.files, artifact.created_at)
