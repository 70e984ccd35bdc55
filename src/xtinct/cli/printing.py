"""Tables on a terminal, and why it takes so long."""

import sys
from collections.abc import Iterable, Sequence

import click


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table whose columns are as wide as their widest cell."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def tell_of_compiling() -> None:
    """Tell somebody at a terminal, once and when it begins, that code is compiled: the first answer waits."""
    if sys.stderr is None or not sys.stderr.isatty():
        return
    from numba.core import event

    class Told(event.Listener):
        def on_start(self, event: event.Event) -> None:
            if self in listeners:
                listeners.remove(self)
                click.echo(
                    "xtinct: compiling for this machine, once after an installation: up to a minute", err=True
                )

        def on_end(self, event: event.Event) -> None:
            """Numba asks for it."""

    listeners = [Told()]
    event.register("numba:compile", listeners[0])
