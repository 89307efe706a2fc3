"""The operations as commands: the same plan, rules and journal as the screen's keys, one command a verb."""

import asyncio
import signal
import string
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from mlops_tui.cli.options import config_option, read_only_option, reports_errors, say, settings_of
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import Denied, EngineError, Refused
from mlops_tui.domain.operation import Confirmation, FieldKind, OperationRow, OperationState, Plan, PlanRequest
from mlops_tui.operations.base import Parameter, Verb
from mlops_tui.operations.catalogue import VERBS

if TYPE_CHECKING:
    from mlops_tui.engine.ports import EnginePort

STANDARD_INPUT = "-"


def commands() -> list[click.Command]:
    """Return a command for each verb."""
    return [_command(verb) for verb in VERBS]


def _command(verb: Verb) -> click.Command:
    places = [name for _, name, _, _ in string.Formatter().parse(verb.address) if name]

    @reports_errors
    def run(**given: Any) -> None:
        common = _Common(**{name: given.pop(name) for name in _Common.NAMES})
        target = verb.address.format(**{name: given.pop(name) for name in places})
        parameters = {name: value for name, value in _parameters(verb, given).items() if value is not None}
        request = PlanRequest(
            verb=verb.name, target=target, environment=common.environment or "", parameters=parameters
        )
        sys.exit(asyncio.run(_operate(request, common)))

    options: list[Callable[..., Any]] = [click.argument(name, metavar=name.upper()) for name in places]
    for parameter in verb.parameters:
        options += _options(parameter)
    return click.command(verb.name, short_help=verb.summary, help=_help(verb))(
        _decorate(run, [*options, _environment(verb), *_COMMON])
    )


def _help(verb: Verb) -> str:
    return f"{verb.summary}\n\nThe target is {verb.target}. --dry-run shows the plan and changes nothing."


def _options(parameter: Parameter) -> list[Callable[..., Any]]:
    name = parameter.name.replace("_", "-")
    if parameter.positional:
        return [click.argument(parameter.name, metavar=parameter.name.upper(), required=parameter.required)]
    made = [click.option(f"--{name}", parameter.name, metavar="TEXT", help=parameter.help)]
    if parameter.kind is FieldKind.BLOCK:
        help_ = f"The same from a file, or from standard input with {STANDARD_INPUT}."
        made.append(click.option(f"--{name}-file", f"{parameter.name}_file", type=click.File("r"), help=help_))
    return made


def _parameters(verb: Verb, given: dict[str, Any]) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for parameter in verb.parameters:
        value, file = given[parameter.name], given.get(f"{parameter.name}_file")
        if value is not None and file is not None:
            raise click.UsageError(f"--{parameter.name} and --{parameter.name}-file exclude each other")
        values[parameter.name] = file.read() if file is not None else value
    return values


def _decorate(function: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


def _environment(verb: Verb) -> Callable[..., Any]:
    # A version is promoted to an environment; elsewhere "to" may be something of the verb's own.
    names = ["--env", "--to"] if verb.kind is RowKind.VERSION else ["--env"]
    return click.option(*names, "environment", metavar="NAME", help="The environment; needed where several fit.")


_COMMON: list[Callable[..., Any]] = [
    config_option,
    read_only_option,
    click.option("--attach", metavar="SOCKET", help="Through a shared engine (`mlops-tui engine --listen SOCKET`)."),
    click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
    click.option("--yes", is_flag=True, help="Do not ask. A protected environment's question is answered by it too."),
    click.option("--reason", metavar="TEXT", default="", help="Why: kept in the journal; a failed gate needs one."),
    click.option("--override", metavar="FREEZE", default="", help="The name of the freeze to override."),
    click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the effect is real."),
    click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="How long to wait for that."),
    click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True),
]


class _Common:
    """The options that every verb has."""

    NAMES = (
        "environment", "config", "read_only", "attach", "dry_run", "yes", "reason", "override", "wait", "timeout",
        "format_",
    )  # fmt: skip

    def __init__(
        self, environment: str | None, config: str | None, read_only: bool, attach: str | None, dry_run: bool,
        yes: bool, reason: str, override: str, wait: bool, timeout: float | None, format_: str,
    ) -> None:  # fmt: skip
        self.environment = environment
        self.config = config
        self.read_only = read_only
        self.attach = attach
        self.dry_run = dry_run
        self.yes = yes
        self.reason = reason
        self.override = override
        self.patience = timeout if wait else 0.0
        self.json = format_ == "json"


async def _operate(request: PlanRequest, common: _Common) -> int:
    async with _engine(common) as engine:
        plan = await engine.plan(request)
        if common.dry_run:
            click.echo(plan.model_dump_json(indent=2) if common.json else "\n".join(plan_lines(plan)))
            return _refusal(plan).exit_code if plan.refusals else 0
        if common.json and (plan.idle or plan.refusals):
            click.echo(plan.model_dump_json(indent=2))
        if plan.idle:
            say(f"nothing to do: {plan.idle}")
            return 0
        if plan.refusals:
            # The engine refuses it as well, and writes that down.
            with suppress(Refused):
                await engine.execute(plan.id, Confirmation())
            raise _refusal(plan)
        with _interruptible():
            confirmation = _confirm(plan, common)
        row = await _follow(engine, await engine.execute(plan.id, confirmation))
    if common.json:
        click.echo(row.model_dump_json(indent=2))
    elif row.state is OperationState.DONE:
        click.echo(row.outcome)
    if row.state is not OperationState.DONE:
        say(f"{row.state.value}: {row.outcome}{f' ({row.next})' if row.next else ''}")
    return row.exit_code


def _refusal(plan: Plan) -> Refused | Denied:
    """Return why a plan cannot be carried out: the rules forbid it, or a permission is missing."""
    first = plan.refusals[0]
    kind = Denied if first.permission else Refused
    return kind(f"{plan.title}: {first.text}", first.hint)


@asynccontextmanager
async def _engine(common: _Common) -> AsyncIterator["EnginePort"]:
    """An engine that reads nothing by itself: in this process, or the one at a socket."""
    if common.attach:
        from mlops_tui.engine.remote import RemoteEngine, socket_connector

        if common.read_only:
            raise click.UsageError("--read-only does not go with --attach: the shared engine decides")
        remote = RemoteEngine(socket_connector(common.attach))
        remote.start()
        try:
            yield remote
        finally:
            await remote.close()
        return
    from mlops_tui.engine.compose import build_engine

    settings, path = settings_of(common.config)
    engine = build_engine(settings, read_only=common.read_only, config=path, operates=True)
    try:
        yield engine
    finally:
        await engine.close()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question at once: asyncio's own handler waits until the loop runs again, which it does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except click.Abort:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


def _confirm(plan: Plan, common: _Common) -> Confirmation:
    """Return a person's yes, asked for where `--yes` has not given it. Raises `Refused`."""
    demand = plan.demand
    given = Confirmation(
        typed=demand.typed if common.yes else "",
        reason=common.reason,
        override=common.override,
        patience=common.patience,
    )
    if common.yes:
        return given
    if not sys.stdin.isatty():
        raise Refused(f"{plan.title}: not confirmed, and there is no terminal to ask at", "--yes confirms it")
    click.echo("\n".join(plan_lines(plan)), err=True)
    if demand.typed:
        typed = click.prompt(f"Type {demand.typed} to confirm", default="", show_default=False, err=True)
        given = given.model_copy(update={"typed": typed})
    elif not click.confirm("Do it?", default=False, err=True):
        raise Refused("not confirmed: nothing was changed")
    if demand.override and not given.override:
        named = click.prompt("The freeze to override, by its name", default="", show_default=False, err=True)
        given = given.model_copy(update={"override": named})
    if demand.reason and not given.reason:
        reason = click.prompt("Why", default="", show_default=False, err=True)
        given = Confirmation.model_validate({**dict(given), "reason": reason})
    return given


async def _follow(engine: "EnginePort", row: OperationRow) -> OperationRow:
    """Show an operation's progress until its end, and return it as it ended."""
    shown: list[str] = []
    async for update in engine.updates():
        for found in update.upserts:
            if isinstance(found, OperationRow) and found.key == row.key:
                row = found
                shown = _show(row, shown)
                if row.state.ended:
                    return row
    raise EngineError("the engine ended before the operation did", "mlops-tui audit shows what is known of it")


def _show(row: OperationRow, shown: list[str]) -> list[str]:
    """Print the lines of progress that were not printed yet, and return all."""
    lines = [*([row.step] if row.step else []), *row.progress]
    for line in lines:
        if line not in shown:
            say(line)
    return [*shown, *(line for line in lines if line not in shown)]


def plan_lines(plan: Plan) -> list[str]:
    """Return a plan as a person reads it on a terminal."""
    lines = [plan.title]
    if plan.environment:
        lines.append(f"  environment  {plan.environment}{' (protected)' if plan.protected else ''}")
    width = max((len(change.what) for change in plan.changes), default=0)
    lines += [f"  {change.what:<{width}}  {change.before or '–'} → {change.after or '–'}" for change in plan.changes]
    words = {True: "passed", False: "FAILED", None: "UNKNOWN"}
    lines += [f"  gate {gate.name}: {words[gate.passed]}: {gate.evidence}" for gate in plan.gates]
    lines += [f"  warning: {concern.text}{f' ({concern.hint})' if concern.hint else ''}" for concern in plan.warnings]
    lines += [f"  refused: {concern.text}{f' ({concern.hint})' if concern.hint else ''}" for concern in plan.refusals]
    lines += [f"  needs a reason: {why}" for why in plan.demand.because]
    if plan.idle:
        lines.append(f"  nothing to do: {plan.idle}")
    if plan.preview:
        lines += ["", *(f"  | {line}" for line in plan.preview.splitlines()), ""]
    if plan.command:
        lines += ["  the same by hand:", *(f"    {line}" for line in plan.command.splitlines())]
    return lines
