"""Reflection conditions of a space group, derived from its operations (ITA 2016, section 1.6.3).

A reflection hkl is systematically absent when an operation (R, t) maps it onto itself, hR = hkl,
with a phase shift: h.t not an integer. The operations that fix every reflection of a zone (a plane
or a row of reciprocal space, or all of it) give that zone its conditions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import gcd

import numpy as np

#: Translations and phases are counted in 1/24 of a lattice vector: exact for every space group.
DENOMINATOR = 24

_IDENTITY = np.eye(3, dtype=np.int64)


@dataclass(frozen=True)
class Condition:
    """One reflection condition: reflections of `zone` are absent unless `condition` holds.

    zone            as printed in ITA: "hkl", "0kl", "hhl", "00l"
    condition       as printed in ITA: "k+l=2n"
    equations       hkl lies in the zone when hkl . e = 0 for each of them (0, 1 or 2 triples)
    phase           the condition holds when hkl . phase is a multiple of 24
    representative  the first of the zones that the point group makes equivalent (ITA prints only that one)
    """

    zone: str
    condition: str
    equations: tuple[tuple[int, int, int], ...]
    phase: tuple[int, int, int]
    representative: bool


@dataclass(frozen=True)
class _Zone:
    equations: tuple[tuple[int, int, int], ...]
    basis: np.ndarray  # (dimension, 3): hkl of the zone are its integer combinations
    pivots: tuple[int, ...]  # basis row i has a 1 in column pivots[i], other rows have a 0 there

    @property
    def name(self) -> str:
        return "".join(_index_text(self.basis[:, axis], self.pivots) for axis in range(3))


def _index_text(column: np.ndarray, pivots: tuple[int, ...]) -> str:
    terms = [(int(c), "hkl"[pivot]) for c, pivot in zip(column, pivots, strict=True) if c]
    if not terms:
        return "0"
    return _linear_text(terms)


def _linear_text(terms: Iterable[tuple[int, str]]) -> str:
    text = "".join(f"{'-' if c < 0 else '+'}{abs(c) if abs(c) != 1 else ''}{letter}" for c, letter in terms)
    return text.removeprefix("+")


def _primitive(vector: np.ndarray) -> np.ndarray:
    """The shortest integer vector along `vector` whose first nonzero component is positive."""
    vector = vector // gcd(*(int(v) for v in vector))
    return vector if vector[np.flatnonzero(vector)[0]] > 0 else -vector


def _plane(normal: np.ndarray) -> _Zone:
    """All hkl with hkl . normal = 0, the last index with coefficient 1 expressed by the others."""
    solved = max(axis for axis in range(3) if abs(normal[axis]) == 1)
    pivots = tuple(axis for axis in range(3) if axis != solved)
    basis = _IDENTITY[list(pivots)].copy()
    basis[:, solved] = -normal[list(pivots)] * normal[solved]
    return _Zone((tuple(int(n) for n in normal),), basis, pivots)


def _row(direction: np.ndarray) -> _Zone:
    """All multiples of the reflection `direction`."""
    pivot = min(axis for axis in range(3) if abs(direction[axis]) == 1)
    direction = direction * direction[pivot]
    others = [axis for axis in range(3) if axis != pivot]
    equations = []
    for axis in others:
        equation = np.zeros(3, dtype=np.int64)
        equation[axis], equation[pivot] = 1, -direction[axis]
        equations.append(tuple(int(e) for e in equation))
    return _Zone(tuple(equations), direction[None, :], (pivot,))


def _zone_fixed_by(rotation: np.ndarray) -> _Zone | None:
    """The reflections that `rotation` maps onto themselves; None if only 000 is."""
    moved = rotation - _IDENTITY
    rank = int(np.linalg.matrix_rank(moved))
    if rank == 0:
        return _Zone((), _IDENTITY, (0, 1, 2))
    if rank == 1:  # mirror or glide: hkl . column = 0
        return _plane(_primitive(moved[:, np.flatnonzero(moved.any(axis=0))[0]]))
    if rank == 2:  # rotation or screw: the rows of I + R + R^2 + ... lie along the axis
        total, power = np.zeros((3, 3), dtype=np.int64), _IDENTITY
        while True:
            total, power = total + power, power @ rotation
            if (power == _IDENTITY).all():
                break
        return _row(_primitive(total[np.flatnonzero(total.any(axis=1))[0]]))
    return None


def _span(generators: Iterable[tuple[int, ...]], dimension: int) -> frozenset[tuple[int, ...]]:
    """All sums of the generators modulo 24."""
    span = {(0,) * dimension}
    for generator in generators:
        grown = span
        while True:
            grown = grown | {
                tuple((a + b) % DENOMINATOR for a, b in zip(element, generator, strict=True))
                for element in grown
            }
            if len(grown) == len(span):
                break
            span = grown
    return frozenset(span)


def _normal_form(phase: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(m, c) with the condition `c . u = 0 modulo m` in its plainest form."""
    modulus = DENOMINATOR // gcd(DENOMINATOR, *phase)
    numerators = [p * modulus // DENOMINATOR for p in phase]

    def reduced(unit: int) -> tuple[int, ...]:
        values = [unit * n % modulus for n in numerators]
        return tuple(v - modulus if 2 * v > modulus else v for v in values)

    candidates = [reduced(unit) for unit in range(1, modulus + 1) if gcd(unit, modulus) == 1]
    return modulus, min(candidates, key=lambda c: (sum(v < 0 for v in c), sum(map(abs, c)), c[::-1]))


def _plainness(phase: tuple[int, ...]) -> tuple:
    modulus, coefficients = _normal_form(phase)
    return (
        modulus,
        sum(c != 0 for c in coefficients),
        sum(map(abs, coefficients)),
        sum(c < 0 for c in coefficients),
        tuple(-abs(c) for c in coefficients),
    )


def _order(zone: _Zone) -> tuple:
    """ITA's order: hkl, planes, rows; axial zones before diagonal ones, hhl before h-hl."""
    diagonal = int(np.count_nonzero(zone.basis)) - len(zone.basis)
    tilted = max((sum(map(abs, e)) for e in zone.equations), default=0) if len(zone.basis) == 2 else 0
    key = tuple(-abs(e) for e in zone.equations[0]) if len(zone.basis) == 2 else tuple(-abs(zone.basis[0]))
    return (-len(zone.basis), max(diagonal, tilted), zone.name.count("-"), key, zone.name)


def reflection_conditions(rotations: np.ndarray, translations: np.ndarray) -> tuple[Condition, ...]:
    """Independent reflection conditions of a space group.

    `rotations` int (n, 3, 3) and `translations` int (n, 3) in 24ths: all operations x' = R x + t of
    the cell, centring included. Conditions that follow from a zone containing the zone at hand are
    left out; equivalent zones are all listed, so that the conditions alone decide every reflection.
    """
    rotations = np.asarray(rotations, dtype=np.int64)
    translations = np.asarray(translations, dtype=np.int64)
    zones: dict[tuple, _Zone] = {}
    for rotation in np.unique(rotations, axis=0):
        zone = _zone_fixed_by(rotation)
        if zone is not None:
            zones[zone.equations] = zone
    ordered = sorted(zones.values(), key=_order)
    found: list[Condition] = []
    seen: set[bytes] = set()
    for zone in ordered:
        dimension = len(zone.basis)
        fixed_by_all = (zone.basis @ rotations == zone.basis).all(axis=(1, 2))
        phases = {
            tuple(int(p) for p in zone.basis @ translation % DENOMINATOR)
            for translation in translations[fixed_by_all]
        }
        inherited = _span(
            (
                tuple(int(p) for p in zone.basis @ np.array(known.phase) % DENOMINATOR)
                for known in found
                if len(known.equations) < 3 - dimension and _satisfies(zone.basis, known.equations)
            ),
            dimension,
        )
        # A zone and -zone are the same; images under the point group are equivalent.
        images = {_zone_image(zone, rotation) for rotation in rotations}
        representative = not images & seen
        seen |= images
        whole = _span(sorted(phases), dimension)
        chosen: list[tuple[int, ...]] = []
        while len(inherited) < len(whole):
            spans = {phase: _span([*inherited, phase], dimension) for phase in whole - inherited}
            best = min(spans, key=lambda phase: (-len(spans[phase]), *_plainness(phase)))
            inherited = spans[best]
            chosen.append(best)
        for phase in sorted(chosen, key=_plainness):
            modulus, coefficients = _normal_form(phase)
            full_phase = np.zeros(3, dtype=np.int64)
            full_phase[list(zone.pivots)] = [c * DENOMINATOR // modulus for c in coefficients]
            terms = [(c, "hkl"[p]) for c, p in zip(coefficients, zone.pivots, strict=True) if c]
            found.append(
                Condition(
                    zone=zone.name,
                    condition=f"{_linear_text(terms)}={modulus}n",
                    equations=zone.equations,
                    phase=tuple(int(p) for p in full_phase),
                    representative=representative,
                )
            )
    return tuple(found)


def _satisfies(hkl: np.ndarray, equations: tuple[tuple[int, int, int], ...]) -> bool:
    return not any((hkl @ np.array(equation)).any() for equation in equations)


def _zone_image(zone: _Zone, rotation: np.ndarray) -> bytes:
    """Identity of the zone that `rotation` maps `zone` to: its plane normal or its row direction."""
    image = zone.basis @ rotation
    if len(image) == 3:
        return b"hkl"
    vector = np.cross(image[0], image[1]) if len(image) == 2 else image[0]
    return bytes([len(image)]) + _primitive(vector).astype(np.int8).tobytes()


def box(reach: int) -> np.ndarray:
    """All hkl with |h|, |k|, |l| <= reach, int64 (n, 3), 000 included."""
    return np.array(list(product(range(-reach, reach + 1), repeat=3)), dtype=np.int64)
