"""Listed sites and operations -> every site of the cell, held against what the file says of itself.

Where the file's words leave the setting open, or contradict each other or the cell, the settings that the
words allow are tried; one is taken only if it alone agrees.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import gemmi
import numpy as np

from xtinct.compiling import assign, njit
from xtinct.structures.crystal import Crystal, RejectedError, Species
from xtinct.structures.distances import MIN_CELL_HEIGHT, close_pairs, smallest_height
from xtinct.structures.groups import NamedOperations, metric_tensor
from xtinct.structures.statements import (
    AGREES,
    CONTRADICTS,
    RESOLVED,
    SILENT,
    CellContent,
    Statements,
    Verdict,
    check,
)
from xtinct.structures.symmetry_words import Symmetry

#: Symmetry images of one site closer than this are one atom on a special position, given with few decimals.
SPECIAL_POSITION_RADIUS = 0.1
#: Means that a site is moved by at most, and the move, in cell edges, that is rounding alone.
_MEANS, _SETTLED = 16, 1e-9
#: Sites closer than this share one position (mixed occupancy).
SHARED_POSITION_RADIUS = 0.05
#: Published occupancies of a shared site are rounded; above this sum they are wrong.
MAX_OCCUPANCY = 1.05
#: Of two ways to read a file, one with atoms closer than this share of their covalent radii is the wrong one.
_OVERLAP = 0.6
#: Reasons of files that contradict themselves, and of those that leave open what they mean.
CONTRADICTION, AMBIGUOUS = "contradiction", "ambiguous_setting"
#: Occupancies are compared at this many decimals.
_OCCUPANCY_DECIMALS = 4


@dataclass
class Listing:
    """A structure as its file lists it: the asymmetric unit, and its own words on symmetry and content.

    cell         float64 (6,), angstrom and degrees
    symbols      element of each site; D and T apart from H
    frac         float64 (n, 3)
    occupancies  float64 (n,)
    multiplicities   float64 (n,), sites of the cell that the file counts for each; None if it does not
    """

    cell: np.ndarray
    symbols: list[str]
    frac: np.ndarray
    occupancies: np.ndarray
    symmetry: Symmetry = field(default_factory=Symmetry)
    statements: Statements = field(default_factory=Statements)
    hydrogen_missing: bool = False
    multiplicities: np.ndarray | None = None

    @property
    def declared(self) -> int:
        """Space group number in the file's own words; 0 if it declares none, or P 1."""
        return self.symmetry.declared


@dataclass(frozen=True)
class FilledCell:
    """All sites of the cell, and how they stand to the file's words (AGREES, RESOLVED or SILENT).

    operations  that filled the cell
    note        what contradicted, and what was taken instead; empty unless RESOLVED
    """

    crystal: Crystal
    verdict: str
    operations: NamedOperations
    note: str = ""


@dataclass(frozen=True)
class _Trial:
    """One way to fill the cell: its crystal, or why there is none."""

    operations: NamedOperations
    crystal: Crystal | None
    counts: np.ndarray | None
    verdict: Verdict
    error: RejectedError | None = None

    @property
    def possible(self) -> bool:
        return self.crystal is not None and self.verdict.kind != CONTRADICTS

    @property
    def certain(self) -> bool:
        """Whether the number of atoms is confirmed."""
        return self.possible and self.verdict.amounts

    def failure(self) -> RejectedError:
        return self.error or RejectedError(CONTRADICTION, f"{self.operations.name}: {self.verdict.detail}")


def resolve(listing: Listing, *, max_sites: int, min_distance: float) -> FilledCell:
    """Every site of the cell, shared positions joined.

    `max_sites` bounds the work; `min_distance` (angstrom): two atoms that are there at the same
    time (occupancies above 1 together) may not be closer. RejectedError says what is wrong; its reason is
    `contradiction` where the file contradicts itself, and `ambiguous_setting` where it leaves open which
    of several structures it means.
    """
    basis = _checked_basis(listing.cell)
    _check_sites(listing)
    filler = _Filler(listing, basis, max_sites, min_distance)
    symmetry = listing.symmetry
    if symmetry.problem:
        return _resolved(filler.by_problem(), symmetry.problem)
    fitting = filler.fitting(symmetry.stated)
    if not fitting:
        cell = " ".join(f"{value:g}" for value in listing.cell)
        problem = f"the cell {cell} does not have the symmetry of {_names(symmetry.stated)}"
        trials = filler.tried(setting.operations() for setting in symmetry.settings)
        found = filler.only(trials, problem)
        if found is None:
            raise RejectedError(CONTRADICTION, problem)
        return _resolved(found, problem)
    if len(fitting) > 1:
        trials = filler.tried(fitting)
        problem = f"the file leaves open which of {_names(fitting)} it means"
        found = filler.only(trials, problem)
        if found is None:
            raise trials[0].failure()
        return _resolved(found, problem)
    trial = filler.trial(fitting[0])
    if trial.possible:
        return FilledCell(trial.crystal, trial.verdict.kind, trial.operations)
    if trial.error is None or trial.error.reason in ("atoms_too_close", "bad_occupancy"):
        others = filler.tried(setting.operations() for setting in symmetry.origins)
        found = filler.only([other for other in others if other.certain], str(trial.failure().detail))
        if found is not None:
            return _resolved(found, trial.failure().detail)
    raise trial.failure()


def _resolved(trial: _Trial, problem: str) -> FilledCell:
    note = f"{problem}; {trial.operations.name} agrees"
    return FilledCell(trial.crystal, RESOLVED, trial.operations, note)


def _names(operations: Sequence[NamedOperations]) -> str:
    shown = [each.name for each in operations[:4]]
    return ", ".join(shown) + (", ..." if len(operations) > 4 else "")


class _Filler:
    """Fills the cell of one listing with one list of operations after the other."""

    def __init__(self, listing: Listing, basis: np.ndarray, max_sites: int, min_distance: float) -> None:
        self.listing = listing
        self.basis = basis
        self.max_sites = max_sites
        self.min_distance = min_distance
        self.all_full = bool((listing.occupancies == 1.0).all())

    @cached_property
    def volume(self) -> float:
        return gemmi.UnitCell(*self.listing.cell).volume

    @cached_property
    def metric(self) -> np.ndarray:
        return metric_tensor(self.listing.cell)

    def fitting(self, operations: Iterable[NamedOperations]) -> list[NamedOperations]:
        """Those that are isometries of the cell, each once."""
        kept: list[NamedOperations] = []
        for each in operations:
            if (len(each) == 1 or each.keeps(self.metric)) and not any(_equal(each, other) for other in kept):
                kept.append(each)
        return kept

    def trial(self, operations: NamedOperations) -> _Trial:
        try:
            crystal, counts = self._fill(operations)
        except RejectedError as error:
            return _Trial(operations, None, None, Verdict(CONTRADICTS), error)
        return _Trial(operations, crystal, counts, self._verdict(crystal, counts))

    def _verdict(self, crystal: Crystal, counts: np.ndarray) -> Verdict:
        said = self.listing.statements
        if said.formula is None and said.density is None:
            return Verdict(SILENT)
        positions: dict[str, float] = {}
        for symbol, count in zip(self.listing.symbols, counts.tolist(), strict=True):
            positions[symbol] = positions.get(symbol, 0.0) + count
        atoms = positions if self.all_full else crystal.composition()
        content = CellContent(atoms, positions, self.volume if said.density else 0.0)
        return check(content, said, hydrogen_missing=self.listing.hydrogen_missing)

    def tried(self, operations: Iterable[NamedOperations]) -> list[_Trial]:
        return [self.trial(each) for each in self.fitting(operations)]

    def by_problem(self) -> _Trial:
        """The one reading that agrees, of a file whose words on symmetry contradict each other.

        An incomplete list of operations is completed from the declared group. A declared group that does
        not have the listed operations is believed only if the number of atoms confirms it, and not where
        the list is no group: then nothing in it can be trusted.
        """
        symmetry = self.listing.symmetry
        listed = symmetry.stated
        trials = self.tried(listed)
        for trial in self.tried(setting.operations() for setting in symmetry.settings):
            if any(_equal(trial.operations, other.operations) for other in trials):
                continue
            complete = self._completes(trial.operations)
            if complete or (trial.certain and listed):
                trials.append(trial)
        found = self.only(trials, symmetry.problem)
        if found is None:
            details = [trial.failure().detail for trial in trials]
            raise RejectedError(CONTRADICTION, "; ".join([symmetry.problem, *details[:2]]))
        return found

    def _completes(self, operations: NamedOperations) -> bool:
        partial = self.listing.symmetry.partial
        return partial is not None and operations.contains(partial)

    def only(self, trials: Sequence[_Trial], problem: str) -> _Trial | None:
        """The one of `trials` that agrees best; None if none does, RejectedError if several do alike."""
        possible = [trial for trial in trials if trial.possible]
        for better in (
            lambda trial: trial.certain,
            lambda trial: trial.verdict.kind == AGREES,
            self._counted,
            self._apart,
        ):
            if len(possible) > 1:
                possible = list(filter(better, possible)) or possible
        distinct: list[_Trial] = []
        for trial in possible:
            if not any(_same_structure(trial.crystal, other.crystal) for other in distinct):
                distinct.append(trial)
        if len(distinct) > 1:
            names = _names([trial.operations for trial in distinct])
            raise RejectedError(AMBIGUOUS, f"{problem}; nothing else in it tells {names} apart")
        return distinct[0] if distinct else None

    def _counted(self, trial: _Trial) -> bool:
        said = self.listing.multiplicities
        return said is not None and np.array_equal(said, trial.counts)

    def _apart(self, trial: _Trial) -> bool:
        crystal = trial.crystal
        radii = [max(gemmi.Element(symbol).covalent_r for symbol, _ in site) for site in crystal.species]
        full = [sum(occupancy for _, occupancy in site) for site in crystal.species]
        first, second, distance = close_pairs(crystal.frac, self.basis, 2 * _OVERLAP * max(radii))
        return not any(
            d < _OVERLAP * (radii[i] + radii[j]) and full[i] + full[j] > MAX_OCCUPANCY
            for i, j, d in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True)
        )

    def _fill(self, operations: NamedOperations) -> tuple[Crystal, np.ndarray]:
        frac, source = fill_cell(self.listing.frac, operations, self.basis, self.max_sites)
        crystal = _join_shared(self.listing, self.basis, frac, source, self.min_distance)
        return crystal, np.bincount(source, minlength=len(self.listing.frac))


def _equal(one: NamedOperations, other: NamedOperations) -> bool:
    return one is other or np.array_equal(one.codes, other.codes)


def _same_structure(one: Crystal, other: Crystal) -> bool:
    """Whether two crystals on the same axes differ by a shift at most: equal |F|^2 of 171 hkl."""
    hkl = np.array([h for h in itertools.product(range(-3, 4), repeat=3) if h > (0, 0, 0)])
    squares = []
    for crystal in (one, other):
        weights = [
            sum(occupancy * gemmi.Element(symbol).atomic_number for symbol, occupancy in site)
            for site in crystal.species
        ]
        waves = np.exp(2j * np.pi * (hkl @ crystal.frac.T))
        squares.append(np.abs(waves @ np.array(weights, dtype=np.float64)) ** 2)
    return bool(np.allclose(*squares, rtol=1e-3, atol=1e-3 * max(squares[0].max(), squares[1].max())))


def _check_sites(listing: Listing) -> None:
    if not len(listing.frac):
        raise RejectedError("no_sites", "the structure has no atom")
    if not np.isfinite(listing.frac).all():
        site = int(np.nonzero(~np.isfinite(listing.frac).all(axis=1))[0][0])
        raise RejectedError(
            "bad_coordinates", f"site {site + 1} ({listing.symbols[site]}) has no finite coordinates"
        )
    wrong = ~((listing.occupancies > 0) & (listing.occupancies <= MAX_OCCUPANCY))
    if wrong.any():
        site = int(np.nonzero(wrong)[0][0])
        raise RejectedError("bad_occupancy", f"site {site + 1}: occupancy {listing.occupancies[site]:g}")


def _checked_basis(cell: np.ndarray) -> np.ndarray:
    def bad(why: str = "") -> RejectedError:
        return RejectedError("bad_cell", f"cell parameters {' '.join(f'{value:g}' for value in cell)}{why}")

    given = cell.tolist()
    if not all(0 < value < math.inf for value in given) or max(given[3:]) >= 180:
        raise bad()
    unit_cell = gemmi.UnitCell(*given)
    if not (math.isfinite(unit_cell.volume) and unit_cell.volume > 0):
        raise bad(" enclose no volume")
    basis = np.array(unit_cell.orth.mat.tolist()).T
    if smallest_height(basis) < MIN_CELL_HEIGHT:
        raise bad(f": thinner than {MIN_CELL_HEIGHT:g} angstrom")
    return basis


def fill_cell(
    frac: np.ndarray, operations: NamedOperations, basis: np.ndarray, max_sites: int
) -> tuple[np.ndarray, np.ndarray]:
    """Symmetry images of listed sites (n, 3): float64 (m, 3), and the listed site of each, int64 (m,)."""
    if len(frac) > max_sites:
        raise RejectedError("too_many_sites", f"{len(frac)} listed sites, at most {max_sites} allowed")
    if len(operations) == 1:
        return frac, np.arange(len(frac))
    sites = np.ascontiguousarray(frac, dtype=np.float64)
    positions, sources = _images(
        sites,
        operations.rotations_in_cell,
        operations.translations_in_cell,
        np.ascontiguousarray(basis),
        max_sites,
    )
    if len(positions) > max_sites:
        raise RejectedError("too_many_sites", f"more than {max_sites} sites in the cell")
    return positions, sources


@njit(cache=True)
def _images(frac, rotations, translations, basis, max_sites):
    """All images of the sites, and the site of each; more than `max_sites` where there are too many."""
    n, m = len(frac), len(rotations)
    positions, sources = (
        np.empty((min(n * m, max_sites + m), 3)),
        np.empty(min(n * m, max_sites + m), np.int64),
    )
    images, site, total = np.empty((m, 3)), np.empty(3), 0
    for i in range(n):
        assign(site, frac[i])
        _write_images(rotations, site, translations, images)
        special = _settle(rotations, translations, basis, site, images)
        begin = total
        for j in range(m):
            new = True
            if special:
                for kept in range(begin, total):
                    if not _apart(images[j], positions[kept], basis) >= SPECIAL_POSITION_RADIUS:
                        new = False
                        break
            if new:
                assign(positions[total], images[j])
                sources[total] = i
                total += 1
        if total > max_sites:
            break
    return positions[:total].copy(), sources[:total].copy()


@njit(cache=True)
def _settle(rotations, translations, basis, site, images):
    """Move a site onto the special position that it is near to, in place, its images as well; whether there
    is one.

    The mean over the site's own group lies exactly on the special position. Of a site far off it some images
    alone are near enough, which are no group: their mean is nearer, and more images are then near enough.
    """
    mean, special = np.empty(3), False
    for _ in range(_MEANS):
        same = 0
        mean[:] = 0.0
        for j in range(len(images)):
            if _apart(images[j], site, basis) < SPECIAL_POSITION_RADIUS:
                same += 1
                for k in range(3):
                    shift = images[j, k] - site[k]
                    mean[k] += shift - np.rint(shift)
        if same < 2:
            break
        mean /= same
        if special and np.abs(mean).max() < _SETTLED:
            break
        special = True
        for k in range(3):
            site[k] += mean[k]
        _write_images(rotations, site, translations, images)
    return special


@njit(cache=True)
def _write_images(rotations, site, translations, images):
    for j in range(len(rotations)):
        for k in range(3):
            r = rotations[j, k]
            images[j, k] = r[0] * site[0] + r[1] * site[1] + r[2] * site[2] + translations[j, k]


@njit(cache=True)
def _apart(one, other, basis):
    """Distance of two sites, to the image that rounding finds, angstrom."""
    square = 0.0
    for axis in range(3):
        d = 0.0
        for k in range(3):
            shift = one[k] - other[k]
            d += (shift - np.rint(shift)) * basis[k, axis]
        square += d * d
    return math.sqrt(square)


def _join_shared(
    listing: Listing, basis: np.ndarray, frac: np.ndarray, source: np.ndarray, min_distance: float
) -> Crystal:
    first, second, distance = close_pairs(frac, basis, max(min_distance, SHARED_POSITION_RADIUS))
    occupancies = np.round(listing.occupancies, _OCCUPANCY_DECIMALS)
    shares = list(zip(listing.symbols, occupancies.tolist(), strict=True))
    sources = source.tolist()
    if not len(first):
        alone = [_occupants([share]) for share in shares]
        return Crystal(cell=listing.cell, frac=frac, species=[alone[i] for i in sources])
    host = list(range(len(frac)))
    for i, j, d in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True):
        (one, share), (other, other_share) = shares[sources[i]], shares[sources[j]]
        together = share + other_share
        if d < min_distance and together > MAX_OCCUPANCY:
            raise RejectedError(
                "atoms_too_close",
                f"{one} and {other}: {d:.3f} angstrom, expected at least {min_distance:g}",
            )
        if d < SHARED_POSITION_RADIUS and together <= MAX_OCCUPANCY:
            host[j] = host[i]
    members: dict[int, list[int]] = {}
    for i, h in enumerate(host):
        members.setdefault(h, []).append(sources[i])
    # Images of one shared site are alike.
    known: dict[tuple[int, ...], Species] = {}
    species: list[Species] = []
    for atoms in map(tuple, members.values()):
        if atoms not in known:
            known[atoms] = _occupants([shares[i] for i in atoms])
        species.append(known[atoms])
    return Crystal(cell=listing.cell, frac=frac[list(members)], species=species)


def _occupants(atoms: Sequence[tuple[str, float]]) -> Species:
    """What a site holds on which these atoms with their occupancies are."""
    if len(atoms) == 1:
        symbol, occupancy = atoms[0]
        return ((symbol, min(1.0, occupancy)),)
    amounts: dict[str, float] = {}
    for symbol, occupancy in atoms:
        amounts[symbol] = amounts.get(symbol, 0.0) + occupancy
    total = sum(amounts.values())
    if total > MAX_OCCUPANCY:
        raise RejectedError(
            "bad_occupancy", f"a shared site ({'/'.join(sorted(amounts))}) holds {total:.3f} atoms"
        )
    scale = total if total > 1 else 1.0
    return tuple((symbol, round(amounts[symbol] / scale, _OCCUPANCY_DECIMALS)) for symbol in sorted(amounts))
