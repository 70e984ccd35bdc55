"""The command that serves the page on loopback."""

import click


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port on loopback; 0 takes any that is free.",
)
@click.option(
    "--database",
    type=click.Path(dir_okay=False),
    help="Table of known structures, or none; without it as in xtinct predict.",
)
@click.option("--no-browser", is_flag=True, help="Open no browser, only say the address.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    help="Seconds that one answer may take.",
)
def app(port: int, database: str | None, no_browser: bool, time_limit: float) -> None:
    """Serve a page on which patterns are dropped and read: pattern, cell, symmetry, what would decide.

    Only browsers of this machine reach it, and it reaches no other machine. It runs until Ctrl-C.
    """
    # First what may be missing, in one line; then the rest.
    import pebble  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401

    from xtinct.app.serving import serve
    from xtinct.files.parquet import open_parquet
    from xtinct.files.schema import RECOGNITION, check_table
    from xtinct.joint.identifying import NO_DATABASE
    from xtinct.recognition.recognising import default_database

    database = None if database == NO_DATABASE else database or str(default_database())
    if database is None:
        click.echo("No known structures are asked: only lattice and absences are read.", err=True)
    else:
        file = open_parquet(database)
        check_table(file.schema_arrow, RECOGNITION, database)
        click.echo(f"Known structures: {database}, {file.metadata.num_rows:,}", err=True)

    def say(address: str) -> None:
        click.echo(f"{address}  (Ctrl-C ends it)")

    serve(port, database=database, browser=not no_browser, say=say, time_limit=time_limit)


COMMANDS = (app,)
