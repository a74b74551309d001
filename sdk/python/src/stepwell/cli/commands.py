"""The commands and their options."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stepwell_engine.errors import StepwellError

application = typer.Typer(
    name="stepwell",
    help="Durable workflows for ordinary HTTP services.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@application.callback()
def _group() -> None:
    """Keeps `dev` a command of its own while it is the only one."""


@application.command()
def dev(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Option("-f", "--file", metavar="PATH", help="A manifest or a folder of them; repeat for more. Followed."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            envvar="STEPWELL_PORT", min=0, max=65535, help="Dashboard and gateway, on loopback. 0: any free one."
        ),
    ] = 3030,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="STEPWELL_DATA_DIR",
            help="Where the data is kept.",
            show_default="$XDG_DATA_HOME/stepwell/dev",
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(envvar="STEPWELL_DATABASE_URL", help="A Postgres of yours. Absent: an embedded one is run."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what the parts log.")] = False,
) -> None:
    """Run everything on this machine: Postgres, engine, dashboard, and your manifests. Ctrl-C stops; the data stays."""
    from .dev import Options, run

    try:
        run(Options(files=tuple(files or ()), port=port, data_dir=data_dir, database_url=database_url, verbose=verbose))
    except StepwellError as error:
        print(f"stepwell dev: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
