"""Commands about the extinction laws: the classes that they make, and the ceilings of accuracy."""

import json

import click

from xtinct.cli import options
from xtinct.cli.printing import print_table
from xtinct.errors import XtinctError


@click.command()
@options.family
@options.axes
@click.option("--group", help="A space group by its number (62): all that is known of it.")
@click.option("--symbol", help="A space group by a Hermann-Mauguin symbol, in any setting (Pbnm).")
@click.option("--hall", help="A space group by a Hall symbol (-P 2c 2ab).")
@options.as_json
def classes(
    family: str | None, axes: str, as_json: bool, group: str | None, symbol: str | None, hall: str | None
) -> None:
    """Print extinction classes; or, for one space group, its symbols, reflection conditions and rivals."""
    named = [name for name in (group, symbol, hall) if name is not None]
    if len(named) > 1:
        raise XtinctError("tell one of --group, --symbol and --hall")
    if named:
        _print_group(named[0], as_json)
        return
    from xtinct.symmetry.classes import extinction_classes
    from xtinct.symmetry.families import FAMILIES
    from xtinct.symmetry.operations import hermann_mauguin

    found = [cls for name in ([family] if family else FAMILIES) for cls in extinction_classes(name, axes)]
    if as_json:
        rows = [
            {
                "family": c.family,
                "symbol": c.symbol,
                "members": list(c.members),
                "groups": [{"number": g, "symbol": hermann_mauguin(g)} for g in c.members],
            }
            for c in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    print_table(
        ("family", "extinction symbol", "groups", "space groups", "their numbers"),
        [
            (
                *(c.family, c.symbol, len(c.members)),
                *(", ".join(map(hermann_mauguin, c.members)), " ".join(map(str, c.members))),
            )
            for c in found
        ],
    )
    if any(c.symbol.startswith("R(obv)") for c in found):
        click.echo("\nR(obv): rhombohedral lattice on hexagonal axes in obverse setting, -h+k+l = 3n")


def _print_group(name: str, as_json: bool) -> None:
    """Print what is known of a space group."""
    from xtinct.structures.space_group import space_group

    found = space_group(name)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
        return
    conditions = [f"{c.zone}: {c.condition}" for c in found.conditions if c.representative]
    symbols = found.extinction_symbol, found.extinction_class.symbol
    rows = [
        ("space group", f"{found.symbol} (No. {found.number})"),
        ("Hall symbol", found.hall),
        ("standard setting", found.standard_symbol),
        ("crystal system", found.crystal_system),
        ("Bravais lattice", found.bravais_lattice),
        ("point group", f"{found.point_group}, Laue class {found.laue_class}"),
        ("reflection conditions", "; ".join(conditions) or "none"),
        ("extinction symbol", symbols[0] or "none on these axes"),
        ("extinction class", f"{symbols[1]} ({found.family}, axes unlabelled)"),
        ("settings", ", ".join(found.settings)),
    ]
    print_table(("what", "value"), rows)
    if not found.rivals:
        click.echo("\nNo other group has these absences.")
        return
    click.echo("\nGroups of the same class, which absences cannot tell from it, and what could:\n")
    told = [(f"{r.symbol} (No. {r.number})", "; ".join(r.told_by)) for r in found.rivals]
    print_table(("space group", "told by"), told)


@click.command()
@options.family
@options.axes
@click.option(
    "--target",
    default="spacegroup",
    show_default=True,
    help="What is to be told apart: spacegroup, extinction_class, crystal_system, bravais_lattice, "
    "laue_class or point_group.",
)
@options.prior
@options.as_json
def ceilings(family: str | None, axes: str, target: str, prior: str | None, as_json: bool) -> None:
    """Print the best top-1 to top-5 accuracy that the extinction laws allow, in percent and exactly."""
    from xtinct.ceiling.extinction import ceiling_rows
    from xtinct.ceiling.priors import read_prior
    from xtinct.symmetry.classes import SCOPES

    scopes = [family] if family else SCOPES
    if family and family not in SCOPES:
        raise XtinctError(f"crystal family {family!r}: expected one of {', '.join(SCOPES)}")
    weights = read_prior(prior) if prior else None
    rows = [row for row in ceiling_rows(scopes, [target], prior=weights) if row["axes"] == axes]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    shown: dict[str, list[str]] = {}
    for row in rows:
        exact = f"{row['numerator']}/{row['denominator']}"
        # The fractions of a prior by counts have more digits than anyone reads.
        text = f"{100 * row['ceiling']:.2f}" + (f" ({exact})" if len(exact) <= 9 else "")
        shown.setdefault(row["family"], []).append(text)
    ks = sorted({row["k"] for row in rows})
    print_table(("groups", *(f"top-{k} (%)" for k in ks)), [(name, *texts) for name, texts in shown.items()])


COMMANDS = (classes, ceilings)
