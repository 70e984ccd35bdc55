"""Commands that read a crystal structure."""

import json

import click

from xtinct.cli import options
from xtinct.cli.printing import tell_of_compiling
from xtinct.errors import XtinctError


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--wavelength",
    default="CuKa1",
    show_default=True,
    help="Wavelength, angstrom, or a name: CuKa1; CuKa is the mean of the doublet.",
)
@click.option("--neutron", is_flag=True, help="Scattering lengths of neutrons in place of X-rays.")
@click.option(
    "--range",
    "two_theta_range",
    type=(float, float),
    default=(0.0, 90.0),
    show_default=True,
    help="First and last 2theta, degrees.",
)
@click.option("--b-iso", type=float, default=0.0, show_default=True, help="Displacement factor, angstrom^2.")
@click.option(
    "--symprec",
    type=float,
    default=0.01,
    show_default=True,
    help="Where the file states no space group, symmetry is found within this, angstrom.",
)
@click.option("--as-written", is_flag=True, help="Look for no symmetry; merge lines by d alone.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture: .svg, .png or .html.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@options.as_json
def lines(
    file: str, neutron: bool, symprec: float, plot: str | None, **settings: float | str | bool | tuple
) -> None:
    """Print the powder lines of a crystal: hkl, multiplicity, d, 2theta, |F|^2 and intensity.

    FILE is a CIF or POSCAR. Where it states its space group, hkl refer to its own axes, else to the
    conventional cell that is found. hkl of one d stand in one line, the strongest first. Intensities have the
    Lorentz-polarisation factor; the strongest is 100.
    """
    from xtinct.crystals.crystal_lines import lines as lines_of

    as_csv, as_json = settings.pop("as_csv"), settings.pop("as_json")
    if as_csv and as_json:
        raise XtinctError("--csv and --json exclude each other")
    if settings.pop("as_written"):
        symprec = None
    tell_of_compiling()
    try:
        found = lines_of(file, radiation="neutron" if neutron else "xray", symprec=symprec, **settings)
    except XtinctError as error:
        if not str(error).startswith("structure: "):
            raise
        raise XtinctError(f"{file}: {str(error).removeprefix('structure: ')}") from None
    if plot:
        found.plot(plot, title=f"{file}: {found.space_group}")
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
    elif as_csv:
        click.echo(found.to_csv(), nl=False)
    else:
        click.echo(str(found))


COMMANDS = (lines,)
