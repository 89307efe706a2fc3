"""Where files live, by the XDG rules of the platform. Nothing is made by asking."""

import os
from pathlib import Path

import platformdirs

APP = "mlops-tui"
FOUND = "working directory"
"""Who named a configuration file that was found rather than named: whoever wrote the checkout."""


def find_config(explicit: str | None = None, cwd: Path | None = None) -> tuple[Path | None, str]:
    """Return the configuration file in use and who named it.

    The first of: `explicit` (the `--config` option), `$MLOPS_TUI_CONFIG`, `mlops-tui.toml` in the working directory or,
    inside a git checkout, in a folder above it up to the checkout's root, `mlops-tui.toml` in the user's configuration
    folder. The first two may name a file that does not exist; reading it then says so.
    """
    if explicit:
        return Path(explicit), "--config"
    if named := os.environ.get("MLOPS_TUI_CONFIG"):
        return Path(named), "MLOPS_TUI_CONFIG"
    for folder in _checkout_folders((cwd or Path.cwd()).resolve()):
        candidate = folder / "mlops-tui.toml"
        if candidate.is_file():
            return candidate, FOUND
    user = user_config()
    return (user, "user") if user.is_file() else (None, "")


def _checkout_folders(here: Path) -> list[Path]:
    """Return the folders from `here` up to the root of its git checkout; `here` alone where there is none."""
    folders = []
    for folder in (here, *here.parents):
        folders.append(folder)
        if (folder / ".git").exists():
            return folders
    return [here]


def user_config() -> Path:
    """Return where the user's own configuration file is, or would be."""
    return Path(platformdirs.user_config_dir(APP)) / "mlops-tui.toml"


def cache_dir() -> Path:
    """Return the folder for what can be lost: the last board."""
    return Path(platformdirs.user_cache_dir(APP))


def log_file() -> Path:
    """Return the log: a file, since one line on the terminal would corrupt the screen."""
    return Path(platformdirs.user_log_dir(APP)) / "engine.log"


def journal_file(configured: str | None = None) -> Path:
    """Return the journal of operations: as configured, `$MLOPS_TUI_JOURNAL`, or in the user's state folder."""
    if configured:
        return Path(configured).expanduser()
    if named := os.environ.get("MLOPS_TUI_JOURNAL"):
        return Path(named)
    return Path(platformdirs.user_state_dir(APP)) / "journal.jsonl"
