"""Commands about the extinction laws: the classes that they make, and the ceilings of accuracy."""

import json

import click

from xtinct.cli import options
from xtinct.cli.printing import print_table


@click.command()
@options.family
@options.axes
@options.as_json
def classes(family: str | None, axes: str, as_json: bool) -> None:
    """Print extinction classes: symbol and space groups."""
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


@click.command()
@options.family
@options.axes
@click.option("--target", default="spacegroup", show_default=True, help="What is to be told apart.")
@options.prior
@options.as_json
def ceilings(family: str | None, axes: str, target: str, prior: str | None, as_json: bool) -> None:
    """Print the best top-1 to top-5 accuracy that the extinction laws allow, in percent and exactly."""
    from xtinct.ceiling.extinction import ceiling_rows
    from xtinct.ceiling.priors import read_prior
    from xtinct.symmetry.classes import SCOPES, scope_groups

    scopes = [family] if family else SCOPES
    for scope in scopes:
        scope_groups(scope)
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
