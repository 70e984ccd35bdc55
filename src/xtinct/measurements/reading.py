"""Reading of a file of powder data: the format is found by content, its scans are brought to one form."""

import re
from collections.abc import Sequence
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis, axis_named
from xtinct.measurements.decoding import content_of, decoded, read_bytes, refuse_foreign, refuse_long
from xtinct.measurements.finishing import finished, is_peak_list
from xtinct.measurements.formats import binary_reader, text_reader
from xtinct.measurements.records import Measurement, PeakTable, Scan
from xtinct.radiation.tubes import Radiation

Wavelength = float | str | Sequence[float] | Radiation | None
#: Points at even steps from which on a file is no list of peaks, whatever is asked.
_PROFILE = 200


def read_measurements(
    path: str | Path, *, wavelength: Wavelength = None, axis: str | Axis | None = None
) -> list[Measurement | PeakTable]:
    """Every scan of a file, in its order: profiles and lists of peaks.

    path         any format of powder data, gzip or not; what it is is found by content
    wavelength   angstrom, a name ("CuKa") or two numbers, as `radiation_of` takes; goes before the file's
    axis         2theta, theta, d, q (1/angstrom), q_nm (1/nm), sin(theta)/lambda or 1/d; likewise

    What the file does not say and nobody tells stays None: no wavelength is assumed. XtinctError, one line
    naming the file, the scan and the row, for what cannot be read rightly.
    """
    path = Path(path)
    told = axis_named(axis)
    return [one for scan in _scans(path) for one in finished(scan, wavelength, told)]


def measurements_in(
    data: bytes, name: str, *, wavelength: Wavelength = None, axis: str | Axis | None = None
) -> list[Measurement | PeakTable]:
    """As `read_measurements`, of the content of a file that lies in an archive under `name`."""
    path, told = Path(name), axis_named(axis)
    scans = _scans_in(content_of(data, path), path)
    return [one for scan in scans for one in finished(scan, wavelength, told)]


def read_measurement(
    path: str | Path,
    *,
    wavelength: Wavelength = None,
    axis: str | Axis | None = None,
    scan: int | str | None = None,
) -> Measurement | PeakTable:
    """The one scan of a file, or the one that `scan` chooses: its number from 1, or a part of its name.

    As `read_measurements`; XtinctError naming the scans where there are several and none is chosen.
    """
    path, told = Path(path), axis_named(axis)
    scans = _scans(path)
    if len(scans) == 1:
        found = finished(scans[0], wavelength, told)
    else:
        # A scan that is not asked for may be unreadable.
        scans = [_chosen(scans, scan, path)]
        found, scan = finished(scans[0], wavelength, told), None
    return found[0] if len(found) == 1 and scan is None else _chosen(found, scan, path)


def read_peaks(
    path: str | Path,
    *,
    wavelength: Wavelength = None,
    axis: str | Axis | None = None,
    scan: int | str | None = None,
) -> PeakTable:
    """A list of peaks: d, Q or 2theta, with intensities and uncertainties where it has them.

    As `read_measurement`, but every file in columns is taken as a list, whatever its steps, unless it has 200
    points and more at even steps. XtinctError for these, for positions that are neither told nor named, and
    for angles without a wavelength.
    """
    path, told = Path(path), axis_named(axis)
    scans = _scans(path)
    listed = [one for one in scans if one.peaks]
    one = listed[0] if scan is None and len(listed) == 1 else _chosen(scans, scan, path)
    if one.peaks is False:
        raise XtinctError(f"{one.name}: holds a profile of {len(one.x)} points, expected a list of peaks")
    if one.peaks is None and len(one.x) >= _PROFILE and not is_peak_list(one.x):
        raise XtinctError(
            f"{one.name}: {len(one.x):,} points at even steps are a profile, expected a list of peaks "
            "(--peaks is for lists)"
        )
    one.peaks = True
    return finished(one, wavelength, told)[0]


def _chosen(scans: list, scan: int | str | None, path: Path):
    """The scan of a number from 1 or of a part of its name."""
    text = str(scan)
    if text.isdecimal() and 1 <= int(text) <= len(scans):
        return scans[int(text) - 1]
    labels = [one.name.removeprefix(str(path)).lstrip(", ") or "the whole" for one in scans]
    names = "; ".join(f"{i}: {label}" for i, label in enumerate(labels[:8], start=1))
    names += f"; ... to {len(scans)}" if len(scans) > 8 else ""
    if scan is None:
        if len(scans) == 1:
            return scans[0]
        raise XtinctError(f"{path}: holds {len(scans)} scans, choose one by its number ({names})")
    # A number that counts no scan may stand in a name, as that of a bank: whole, for 0 is not in "scan 10".
    told = rf"(?<!\d){text}(?!\d)" if text.isdecimal() else re.escape(text)
    fitting = [one for one, label in zip(scans, labels, strict=True) if re.search(told, label)]
    if len(fitting) == 1:
        return fitting[0]
    raise XtinctError(f"{path}: {'more than one' if fitting else 'no'} scan is {scan!r} ({names})")


def _scans(path: Path) -> list[Scan]:
    return _scans_in(read_bytes(path), path)


def _scans_in(data: bytes, path: Path) -> list[Scan]:
    try:
        reader = binary_reader(data)
        if reader is None:
            refuse_foreign(data, path)
            text = decoded(data, path)
            refuse_long(text)
            scans = text_reader(text, path.suffix.lower())(text, str(path), path.suffix.lower())
        else:
            scans = reader(data, str(path))
    except XtinctError as error:
        # Formats need not know where the text came from.
        raise error if str(path) in str(error) else XtinctError(f"{path}: {error}") from None
    if not scans:
        raise XtinctError(f"{path}: holds no scan that was measured")
    return scans
