"""The `xtinct` command. Every subcommand imports what it needs when it runs, so that --help is quick."""

import click

from xtinct import __version__
from xtinct.cli import browsing, checkout, crystals, laws, measured, scoring, stored
from xtinct.cli.printing import print_table
from xtinct.project.job import one_line_errors


def main() -> None:
    """Entry point: bad input is one line on stderr and exit status 2."""
    with one_line_errors():
        cli()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xtinct")
def cli() -> None:
    """Symmetry of measured powder patterns; datasets, models, and the ceilings of the extinction laws.

    Begin with `xtinct predict FILE`, where FILE is a measured pattern; each command has --help.
    """


@cli.command()
def version() -> None:
    """Print the versions that decide a result, for reports of errors."""
    import platform

    from xtinct.project import provenance

    print_table(("package", "version"), [*provenance.versions().items(), ("platform", platform.platform())])


for command in (
    *laws.COMMANDS,
    *stored.COMMANDS,
    *measured.COMMANDS,
    *crystals.COMMANDS,
    *browsing.COMMANDS,
    *scoring.COMMANDS,
    *checkout.COMMANDS,
):
    cli.add_command(command)
