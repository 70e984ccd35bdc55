"""Rates of the crystal generators on one core, per second of CPU time.

Averaged over the space groups of a configuration, equally many of each; compilation is not counted.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.generators.online import CrystalLines
from xtinct.generators.sampling import GroupSampler, read_statistics
from xtinct.generators.statistical import generate_one, structure_row
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.symmetry.families import space_groups

SYMPREC = 0.01
#: Crystals rendered at a time.
_BATCH = 128


def crystal_rates(
    config: Mapping[str, Any], statistics: str | Path, occupations: str | Path, *, per_group: int = 10
) -> dict[str, float]:
    """Case -> crystals per second, and the lines that one has on average.

    `statistics` and `occupations`: files of the GCDD; `config`: families, lines and instrument.
    """
    groups = [number for family in config["families"] for number in space_groups(family)]
    return {
        **_confirmed_rates(statistics, groups, per_group),
        **_online_rates(config, occupations, np.repeat(groups, per_group)),
    }


def _confirmed_rates(statistics: str | Path, groups: Sequence[int], per_group: int) -> dict[str, float]:
    learned = read_statistics(statistics)
    plain = [GroupSampler(number, learned) for number in groups]
    spaced = [GroupSampler(number, learned, min_distance_scale=0.8) for number in groups]
    _generate(plain, 1, rows=True)
    _generate(spaced, 1)
    n = len(groups) * per_group
    return {
        "confirmed by moyo": n / _cpu_seconds(lambda: _generate(plain, per_group)),
        "confirmed by moyo, rows of structures written": n
        / _cpu_seconds(lambda: _generate(plain, per_group, rows=True)),
        "confirmed by moyo, distance rule 0.8": n / _cpu_seconds(lambda: _generate(spaced, per_group)),
    }


def _online_rates(
    config: Mapping[str, Any], occupations: str | Path, numbers: np.ndarray
) -> dict[str, float]:
    crystals = CrystalLines(occupations, config["lines"])
    instrument = Instrument.from_config(config["instrument"])
    keys = np.arange(len(numbers), dtype=np.uint64)
    lines, _ = crystals.draw(numbers, keys)
    render(lines.slice(0, _BATCH), instrument)
    n = len(numbers)
    drawn = _cpu_seconds(lambda: [crystals.crystal(*one) for one in zip(numbers, keys, strict=True)])
    to_lines = _cpu_seconds(lambda: crystals.draw(numbers, keys))
    rendering = _cpu_seconds(lambda: [render(part, instrument) for part in _batches(lines)])
    return {
        "online: crystal": n / drawn,
        "online: crystal and lines": n / to_lines,
        f"online: rendering alone, {instrument.points} points": n / rendering,
        "online: crystal to pattern": n / (to_lines + rendering),
        "lines of a crystal, mean": len(lines.d_star) / n,
    }


def _generate(samplers: Sequence[GroupSampler], per_group: int, *, rows: bool = False) -> None:
    for sampler in samplers:
        for index in range(per_group):
            draw, pearson, _ = generate_one(sampler, 1, index, symprec=SYMPREC, max_attempts=2000)
            if rows:
                structure_row(sampler, draw, pearson, index, symprec=SYMPREC, second_finder=False)


def _batches(lines: LineLists) -> Iterator[LineLists]:
    for start in range(0, len(lines), _BATCH):
        yield lines.slice(start, start + _BATCH)


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
