"""The Textual application. Importing it brings neither pydantic nor an SDK, so that its first frame comes at once."""

import asyncio
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen

from mlops_tui.config.keymap import ACTIONS, PANES, Action, Place, read_keymap
from mlops_tui.config.themes import read_themes, theme_folders
from mlops_tui.ui.bindings import bindings, textual_keymap
from mlops_tui.ui.faces import Trouble
from mlops_tui.ui.feed import BoardChanged, Connect, EngineFound, EngineLost, EngineRefused, Feed
from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.options import UiOptions
from mlops_tui.ui.screens.dashboard import DashboardScreen
from mlops_tui.ui.theme import FALLBACK, textual_theme

if TYPE_CHECKING:
    from mlops_tui.domain.errors import MlopsTuiError

_HERE = Path(__file__).parent
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class DashboardApp(App[str], inherit_bindings=False):
    """The dashboard.

    Its result is an error's message where the configuration was refused; `return_code` then is the exit code.

    Args:
        connect: Starts or finds an engine; called after the first frame.
        ui: How the screen looks.

    Raises:
        ConfigError: `ui.keys` names an unknown action, something that is no key, or one key twice.
    """

    TITLE = "mlops-tui"
    # A default screen brings no style sheet of its own.
    CSS_PATH: ClassVar[list[str | PurePath]] = [_HERE / "app.tcss", _HERE / "screens" / "dashboard.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Place.APP), Binding("ctrl+c", "help_quit", show=False)]
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, connect: Connect, *, ui: UiOptions | None = None) -> None:
        self._options = ui or UiOptions()
        self.refusal: MlopsTuiError | None = None
        """Why the configuration was refused, with its hint; `None` where it was not."""
        self._keys_in_force = read_keymap(self._options.keys)
        super().__init__()
        self._glyphs = Glyphs(self._options.ascii)
        self._feed = Feed(connect, self._options.clock)
        self._theme_problems = self._load_themes()
        self.set_class(self._options.ascii, "-ascii")
        self.set_keymap(textual_keymap(self._keys_in_force))
        self.dashboard = DashboardScreen(
            self._feed, self._keys_in_force, self._glyphs, self._now, read_only=self._options.read_only
        )

    def _now(self) -> datetime:
        return self._options.clock.now()

    def _load_themes(self) -> list[str]:
        folders = self._options.theme_folders
        themes, problems = read_themes(theme_folders() if folders is None else folders)
        for theme in themes.values():
            self.register_theme(textual_theme(theme))
        self._theme_names = sorted(themes)
        wanted = self._options.theme
        if wanted not in themes:
            there = ", ".join(sorted(themes)) or "none"
            problems.append(f'no theme "{wanted}"; there are: {there}')
            wanted = "midnight" if "midnight" in themes else next(iter(themes), "")
        if wanted:
            self.theme = wanted
        return problems

    def get_driver_class(self) -> type[Driver]:
        """Return what reads the terminal: Textual's choice, made safe from bytes that are no text."""
        chosen = super().get_driver_class()
        if sys.platform == "win32":
            return chosen
        from textual.drivers.linux_driver import LinuxDriver

        from mlops_tui.ui.driver import Utf8Driver

        return Utf8Driver if chosen is LinuxDriver else chosen

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return values for the style sheets' variables where the theme has none."""
        return dict(FALLBACK)

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen."""
        return self.dashboard

    def on_mount(self) -> None:
        """Restore the terminal when we are told to end from outside."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            # Only the main thread of a Unix process has signals to handle.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._end_by_signal, number)

    def _end_by_signal(self, number: signal.Signals) -> None:
        self.exit(return_code=128 + number)

    def on_ready(self) -> None:
        """Ask for the engine, now that the first frame is there."""
        self._run_feed()
        for problem in self._theme_problems:
            self.notify(problem, title="Theme", severity="warning", markup=False, timeout=8)

    async def on_unmount(self) -> None:
        """Let the engine go."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
        await self._feed.close()

    # The engine

    @work(group="feed")
    async def _run_feed(self) -> None:
        await self._feed.run(self.post_message)

    def on_board_changed(self, event: BoardChanged) -> None:
        """Show it."""
        self.dashboard.show_board()

    def on_engine_found(self, event: EngineFound) -> None:
        """Take back that it was lost."""
        self.dashboard.set_trouble(None)

    def on_engine_lost(self, event: EngineLost) -> None:
        """Keep the last data, dimmed, and say when it is tried again."""
        self.dashboard.set_trouble(Trouble(event.message, self._now() + event.retry_in))

    def on_engine_refused(self, event: EngineRefused) -> None:
        """Leave, with the reason for the command line to print."""
        self.refusal = event.error
        self.exit(event.error.message, return_code=event.error.exit_code)

    def on_key(self, event: events.Key) -> None:
        """Give a key to the line of text that has the focus by now.

        Keys that arrive in one burst are on their way before the first of them has opened the line; what was typed as
        text must not act as a command.
        """
        focused = self.focused
        if focused is not None and focused.check_consume_key(event.key, event.character):
            focused.post_message(events.Key(event.key, event.character))
            event.prevent_default()

    @work(group="attend")
    async def _attend(self, attended: bool) -> None:
        await self._feed.attend(attended)

    def on_app_focus(self) -> None:
        """Somebody looks."""
        self._attend(True)

    def on_app_blur(self) -> None:
        """Nobody looks."""
        self._attend(False)

    # Commands

    def action_help(self) -> None:
        """Show the manual."""
        # Not needed before the first frame.
        from mlops_tui.ui.screens.help import HelpScreen, HelpText

        filters = ((pane.kind.name, pane.kind.filter_keys) for pane in self.dashboard.panes.values())
        text = HelpText(self._keys_in_force, self._glyphs, filters)
        self.push_screen(HelpScreen(text, self._options.version))

    async def action_quit(self) -> None:
        """Leave; where an operation runs, only after asking."""
        running = self.dashboard.work.running
        if not running:
            self.exit()
            return
        from mlops_tui.ui.screens.menu import Item, MenuScreen

        def choose(value: str | None) -> None:
            if value == "leave":
                self.exit()

        if any(isinstance(screen, MenuScreen) and screen.id == "quit" for screen in self.screen_stack):
            return
        text = "\n".join(f"{row.title} ({row.step or row.state})" for row in running)
        items = [
            Item("stay", "Stay", "let it come to its end"),
            Item("leave", "Leave", "its state is in the journal: the next start looks what became of it"),
        ]
        several = "operations are" if len(running) > 1 else "operation is"
        title = f"{len(running)} {several} under way"
        self.push_screen(MenuScreen(title, items, self._glyphs, text, id="quit"), choose)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield everything that can be done, for the palette."""
        for action in self._commands(screen):
            keys = self._keys_in_force.shown(action.id)
            title = f"{action.label[:1].upper()}{action.label[1:]}"
            yield SystemCommand(
                f"{title}  ({keys})" if keys else title, action.help, lambda action=action: self._run_command(action)
            )
        for name in self._theme_names:
            yield SystemCommand(f"Theme {name}", f"Use the colours of {name}", lambda name=name: self._use_theme(name))

    def _commands(self, screen: Screen[object]) -> Iterable[Action]:
        """Yield what can be done from a screen: on the dashboard, what is for the selected row comes first."""
        row = self.dashboard.selected if screen is self.dashboard else None
        place = PANES.get(row.kind) if row is not None else None
        yield from (action for action in ACTIONS if action.place is place)
        here = (Place.APP, Place.BOARD) if screen is self.dashboard else (Place.APP,)
        for action in ACTIONS:
            wanted = action.place in here and action.id != "palette"
            if wanted or (action.id == "row.open" and screen is self.dashboard):
                yield action

    def _use_theme(self, name: str) -> None:
        self.theme = name

    @work(group="command")
    async def _run_command(self, action: Action) -> None:
        board = self.dashboard
        targets = {Place.APP: self, Place.LIST: board.pane.rows, Place.DETAIL: board.drawer.body}
        await self.run_action(action.command, targets.get(action.place, board))
