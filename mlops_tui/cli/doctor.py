"""`mlops-tui doctor`: what is reachable, as whom, with which permissions, and what to do about the rest."""

import asyncio
import sys

import click
from pydantic import TypeAdapter

from mlops_tui.cli.options import config_option, env_option, reports_errors, settings_of
from mlops_tui.domain.state import Permission, Probe, SourceStatus

_WORDS = {
    SourceStatus.LIVE: ("✔", "ok", "green"),
    SourceStatus.DENIED: ("✖", "denied", "red"),
    SourceStatus.LIMITED: ("▲", "limited", "yellow"),
    SourceStatus.OFF: ("–", "off", None),
}
_UNREACHABLE = ("✖", "unreachable", "red")
_ALLOWED: dict[bool | None, tuple[str, str | None]] = {True: ("✔", "green"), False: ("✖", "red"), None: ("?", "yellow")}


@click.command()
@config_option
@env_option
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@reports_errors
def doctor(config: str | None, environments: tuple[str, ...], format_: str) -> None:
    """Say of every system whether it is reachable, as whom, with which permissions, and what to do next.

    Exit code 0: everything configured answers. 1: something does not. 4: credentials or a permission to read is
    missing. 2: nothing is configured.
    """
    probes, file = asyncio.run(_probe(config, environments))
    if format_ == "json":
        click.echo(TypeAdapter(tuple[Probe, ...]).dump_json(probes, indent=2).decode())
    else:
        click.echo(f"configuration  {file}\n")
        click.echo("\n\n".join("\n".join(describe_probe(probe)) for probe in probes))
    sys.exit(exit_code(probes))


async def _probe(config: str | None, environments: tuple[str, ...]) -> tuple[tuple[Probe, ...], str]:
    from mlops_tui.engine.compose import build_engine

    settings, path = settings_of(config)
    engine = build_engine(settings, environments=environments, read_only=True, config=path)
    try:
        return await engine.probe(), str(path or "none: every system is looked for where its own tools look")
    finally:
        await engine.close()


def exit_code(probes: tuple[Probe, ...]) -> int:
    """Return the exit code for what the probes found."""
    configured = [probe for probe in probes if probe.status is not SourceStatus.OFF]
    if not configured:
        return 2
    states = {probe.status for probe in configured}
    states |= {problem.status for probe in configured for problem in probe.problems}
    if SourceStatus.DENIED in states:
        return 4
    return 0 if states == {SourceStatus.LIVE} else 1


def describe_probe(probe: Probe) -> list[str]:
    """Return the lines that describe one source."""
    glyph, word, colour = _WORDS.get(probe.status, _UNREACHABLE)
    facts = [
        probe.endpoint or probe.label,
        f"as {probe.identity}" if probe.identity else "",
        probe.version,
        f"{probe.latency * 1000:.0f} ms" if probe.latency is not None else "",
    ]
    lines = [f"{click.style(glyph, fg=colour)} {probe.source:<14}{word:<13}" + "  ".join(f for f in facts if f)]
    if probe.error:
        lines.append(f"    {probe.error}")
    if probe.hint:
        lines.append(f"    → {probe.hint}")
    for problem in probe.problems:
        lines.append(f"  {click.style('✖', fg='red')} {problem.scope}: {problem.message}")
        if problem.hint:
            lines.append(f"    → {problem.hint}")
    lines += [_describe_permission(permission) for permission in probe.permissions]
    return lines


def _describe_permission(permission: Permission) -> str:
    glyph, colour = _ALLOWED[permission.allowed]
    note = f"  → {permission.hint}" if permission.hint and permission.allowed is not True else ""
    if not permission.to_read and permission.allowed is False:
        glyph, colour, note = "–", None, "  not allowed; only needed to change it"
    return f"  {click.style(glyph, fg=colour)} {permission.name:<28} {permission.scope}{note}".rstrip()
