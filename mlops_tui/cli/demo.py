"""`mlops-tui demo`: the dashboard on an embedded world."""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click

from mlops_tui.cli.launch import DashboardOptions, run_dashboard
from mlops_tui.cli.options import read_only_option, reports_errors, say
from mlops_tui.demo import (
    CONFIG_NAME,
    GITHUB_TOKEN,
    TOKEN_ENV,
    Addresses,
    Size,
    WorldFailed,
    failure,
    start_world,
    stop_world,
    story_clock,
    wait_until_ready,
)
from mlops_tui.domain.errors import ConfigError, EngineError

NEEDED = ("starlette", "uvicorn", "graphql-core", "promql-parser", "trustme", "mlflow")
"""The packages of the `demo` extra."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between which a story may begin: it looks back for months, and goes on."""
CONFIG_WAIT = 30.0
"""Seconds until the world has said where its servers are: it takes a fraction of one."""


class _Speed(click.FloatRange):
    """A number in a range, which `nan` is in none of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        return number if number == number else self.fail(f"{value!r} is no number", param, ctx)


class _Moment(click.ParamType[datetime]):
    """A moment in ISO 8601; UTC where it names no zone."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment such as 2026-11-20T14:00:00Z", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not EARLIEST <= moment <= LATEST:
            self.fail(f"the story begins between {EARLIEST:%Y} and {LATEST:%Y}", param, ctx)
        return moment


@click.command()
@read_only_option
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed tells the same story.")
@click.option(
    "--speed",
    type=_Speed(min=0, max=100),
    default=1.0,
    show_default=True,
    help="How fast the story runs; at 0 it stands still.",
)
@click.option("--at", type=_Moment(), metavar="MOMENT", help="When the story begins, such as 2026-11-20T14:00Z; now.")
@click.option(
    "--size",
    type=click.Choice(get_args(Size)),
    default="normal",
    show_default=True,
    help="large: with 1,000 Deployments, 1,000 models, 5,000 runs and 500 pull requests.",
)
@click.option("--serve-only", is_flag=True, help="Keep the world up without the screen, and print how to reach it.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", help="For --serve-only.")
@click.option("--theme", metavar="NAME", help="A theme's name, such as midnight or daylight.")
@click.option("--ascii", is_flag=True, help="Keep to ASCII.")
@reports_errors
def demo(
    read_only: bool,
    seed: int,
    speed: float,
    at: datetime | None,
    size: Size,
    serve_only: bool,
    format_: str,
    theme: str | None,
    ascii: bool,
) -> None:
    """Show the dashboard on an embedded world: a real MLflow server, and servers that answer as GitHub, Kubernetes and
    Prometheus do.

    Everything runs on loopback and is gone when the command ends, however it ends.
    """
    _check_installed()
    _leave_the_user_s_systems()
    home = Path(tempfile.mkdtemp(prefix="mlops-tui-demo-"))
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    clock = story_clock(at, speed)
    world = start_world(home, seed=seed, clock=clock, size=size)
    try:
        if serve_only:
            code = _serve(world, format_)
        else:
            code = run_dashboard(
                DashboardOptions(
                    config=str(home / CONFIG_NAME),
                    read_only=read_only,
                    theme=theme,
                    ascii=ascii,
                    engine_arguments=(
                        *("--no-keep", "--await-config", str(CONFIG_WAIT)),
                        *("--log-file", str(home / "engine.log")),
                    ),
                    companion=lambda: failure(world),
                    environ={TOKEN_ENV: GITHUB_TOKEN},
                    clock=str(clock),
                )
            )
    finally:
        stop_world(world)
        shutil.rmtree(home, ignore_errors=True)
    sys.exit(code)


def _leave_the_user_s_systems() -> None:
    """Forget what would lead out of the embedded world: addresses of real systems, and proxies."""
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "MLOPS_TUI_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _check_installed() -> None:
    for package in NEEDED:
        try:
            # By name: importing MLflow, or even looking for a module inside it, takes two seconds.
            importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            raise ConfigError(
                f"the demo needs {package}, which is not installed", 'pip install "mlops-tui[demo]"'
            ) from None


def _serve(world: subprocess.Popen[bytes], format_: str) -> int:
    try:
        reach = wait_until_ready(world)
    except WorldFailed as error:
        raise EngineError(str(error)) from None
    if format_ == "json":
        click.echo(json.dumps(reach))
        sys.stdout.flush()
    else:
        click.echo("\n".join(_how_to_reach(reach)))
    say("Ctrl-C ends it")
    try:
        world.wait()
    except KeyboardInterrupt:
        return 0
    raise EngineError(failure(world))


def _how_to_reach(reach: Addresses) -> list[str]:
    return [
        f"GitHub      {reach['github_api_url']}",
        f"            curl -H 'Authorization: Bearer {reach['github_token']}' {reach['github_api_url']}/user",
        f"MLflow      {reach['mlflow_tracking_uri']}",
        f"            MLFLOW_TRACKING_URI={reach['mlflow_tracking_uri']} (its own UI in a browser)",
        f"Prometheus  {reach['prometheus_url']}",
        f"            curl '{reach['prometheus_url']}/api/v1/query?query=model_requests_total'",
        "Kubernetes  contexts admin and oncall",
        f"            kubectl --kubeconfig {reach['kubeconfig']} get deployments -A",
        f"mlops-tui   {TOKEN_ENV}={reach['github_token']} mlops-tui --config {reach['config']}",
    ]
