"""Starting the dashboard. Only the standard library up to the first frame: click and pydantic cost a third of it."""

import argparse
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from mlops_tui.engine.ports import EnginePort
    from mlops_tui.ui.app import DashboardApp


@dataclass(frozen=True)
class DashboardOptions:
    """What `mlops-tui` without a command was asked for.

    Attributes:
        engine_arguments: Further options for the engine's process, such as those of the demo.
        environ: Variables set for the engine's process.
        companion: Blocks until something has ended that the dashboard is nothing without, and says why it did.
        clock: A `ScaledClock` as text: the time of the systems that are shown, where it is not the machine's.
    """

    config: str | None = None
    environments: tuple[str, ...] = ()
    read_only: bool = False
    attach: str | None = None
    theme: str | None = None
    ascii: bool = False
    no_color: bool = False
    engine_arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    companion: Callable[[], str] | None = None
    clock: str = ""


class _Decline(Exception):
    """Not a plain dashboard: click, which has the help and the messages, takes over."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Decline(message)


def dashboard_options(arguments: Sequence[str]) -> DashboardOptions | None:
    """Return the dashboard's options, or `None` where the arguments are for click: a command, help, an error."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--attach")
    parser.add_argument("--theme")
    parser.add_argument("--ascii", action="store_true")
    parser.add_argument("--no-color", action="store_true")
    try:
        found = parser.parse_args(arguments)
    except _Decline:
        return None
    return DashboardOptions(
        config=found.config,
        environments=tuple(found.env),
        read_only=found.read_only or truthy(os.environ.get("MLOPS_TUI_READ_ONLY")),
        attach=found.attach,
        theme=found.theme,
        ascii=found.ascii,
        no_color=found.no_color,
    )


def truthy(value: str | None) -> bool:
    """Whether an environment variable is set to something that means yes."""
    return (value or "").strip().lower() in ("1", "true", "yes", "on")


def engine_arguments(options: DashboardOptions) -> list[str]:
    """Return the options of `mlops-tui engine` for this dashboard."""
    arguments = [*options.engine_arguments]
    if options.config:
        arguments += ["--config", options.config]
    for name in options.environments:
        arguments += ["--env", name]
    if options.read_only:
        arguments.append("--read-only")
    if options.clock:
        arguments += ["--clock", options.clock]
    return arguments


def run_dashboard(options: DashboardOptions) -> int:
    """Show the dashboard until it is left. Returns the exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("mlops-tui: the dashboard needs a terminal; mlops-tui snapshot prints the same as data", file=sys.stderr)
        return 2
    if options.attach and (reason := _unreachable(options.attach)):
        return _report(reason, f"mlops-tui engine --listen {options.attach} starts one", 1)
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    os.environ.update(options.environ)
    child: subprocess.Popen[bytes] | None = None
    if not options.attach:
        from mlops_tui.engine.child import start_child

        child = start_child(engine_arguments(options))
    try:
        return _show(options, child)
    finally:
        if child is not None and child.poll() is None:
            _end(child)


def _unreachable(path: str) -> str:
    """Return why no engine answers at a socket; empty if one does."""
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            return f"no engine listens at {path}: {error.strerror or error}"
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """End an engine that nobody has ended yet: the screen did not get that far."""
    if child.stdin is not None and not child.stdin.closed:
        child.stdin.close()
    try:
        child.wait(2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _show(options: DashboardOptions, child: subprocess.Popen[bytes] | None) -> int:
    from mlops_tui import __version__
    from mlops_tui.ui.app import DashboardApp
    from mlops_tui.ui.options import UiOptions

    raw = _peek_ui(options.config)
    keys = raw.get("keys")
    ui = UiOptions(
        ascii=options.ascii or raw.get("ascii") is True,
        keys={str(name): str(key) for name, key in keys.items()} if isinstance(keys, dict) else {},
        read_only=options.read_only,
        version=__version__,
    )
    if theme := options.theme or raw.get("theme"):
        ui = replace(ui, theme=str(theme))
    if options.clock:
        from mlops_tui.domain.clock import ScaledClock

        ui = replace(ui, clock=ScaledClock.parse(options.clock))
    if options.theme and (problem := _no_theme(options.theme)):
        return _report(problem, "", 2)
    try:
        app = DashboardApp(_connect(options, child), ui=ui)
    except Exception as error:
        # Named only now: the errors' module brings pydantic, which the first frame does not wait for.
        from mlops_tui.domain.errors import MlopsTuiError

        if not isinstance(error, MlopsTuiError):
            raise
        return _report(error.message, error.hint, error.exit_code)
    ended: list[str] = []
    if options.companion is not None:
        _end_with(options.companion, app, ended)
    app.run()
    if ended:
        return _report(ended[0], "", 1)
    if app.refusal is not None:
        return _report(app.refusal.message, app.refusal.hint, app.refusal.exit_code)
    return app.return_code or 0


def _no_theme(name: str) -> str:
    from mlops_tui.config.themes import read_themes, theme_folders

    themes, _ = read_themes(theme_folders())
    return "" if name in themes else f"--theme {name}: no such theme; there are: {', '.join(sorted(themes))}"


def _end_with(companion: Callable[[], str], app: "DashboardApp", ended: list[str]) -> None:
    """Leave the dashboard when its companion ends by itself."""
    import threading

    def wait() -> None:
        reason = companion()
        if app.is_running:
            ended.append(reason)
            app.call_from_thread(app.exit)

    threading.Thread(target=wait, daemon=True).start()


def _report(message: str, hint: str, exit_code: int) -> int:
    print(f"mlops-tui: {message}{f' ({hint})' if hint else ''}", file=sys.stderr)
    return exit_code


def _connect(options: DashboardOptions, child: subprocess.Popen[bytes] | None) -> "Callable[[], Awaitable[EnginePort]]":
    async def connect() -> "EnginePort":
        import asyncio
        import importlib

        from mlops_tui.engine.child import start_child

        # In a thread: reading the contract's modules would hold up the screen, which is painted by now.
        remote: Any = await asyncio.to_thread(importlib.import_module, "mlops_tui.engine.remote")
        if options.attach:
            connector = remote.socket_connector(options.attach)
        else:
            connector = remote.child_connector(lambda: start_child(engine_arguments(options)), child)
        remedy = "looking for it again" if options.attach else "starting it again"
        engine = remote.RemoteEngine(connector, remedy=remedy)
        engine.start()
        return engine  # type: ignore[no-any-return]

    return connect


def _peek_ui(config: str | None) -> dict[str, Any]:
    """Return the `[ui]` table unchecked: the first frame wants its theme; the engine checks the file and reports."""
    import tomllib

    path = _config_path(config)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("ui", {}) if path else {}
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _config_path(config: str | None) -> Path | None:
    from mlops_tui.config.paths import find_config

    return find_config(config)[0]
