"""Powder-diffraction datasets, models and the ceilings that the extinction laws set."""

import importlib
from typing import Any

__version__ = "0.1.0"

#: Offered here and imported when first used, so that no part of the library pays for another.
_OFFERED = {
    "simulate": "xtinct.api",
    "line_list": "xtinct.api",
    "lines": "xtinct.crystals.crystal_lines",
    "XRDCalculator": "xtinct.crystals.pymatgen_calculators",
    "NDCalculator": "xtinct.crystals.pymatgen_calculators",
    "ulbd_patterns": "xtinct.api",
    "extinction_classes": "xtinct.api",
    "ceilings": "xtinct.api",
    "predict": "xtinct.api",
    "index": "xtinct.observer.asking",
    "score": "xtinct.evaluation.answer_scores",
    "space_group": "xtinct.structures.space_group",
    "recognise": "xtinct.recognition.recognising",
    "Instrument": "xtinct.patterns.instrument",
    "XtinctError": "xtinct.errors",
}
__all__ = sorted(_OFFERED)


def __getattr__(name: str) -> Any:
    if name in _OFFERED:
        return getattr(importlib.import_module(_OFFERED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_OFFERED]
