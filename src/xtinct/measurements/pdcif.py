"""pdCIF: every block with a profile or a list of peaks, measured or processed, read by gemmi."""

import re

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis
from xtinct.measurements.counts import divide_by_exposure
from xtinct.measurements.headers import graphite_angle, of_anode, said_radiation
from xtinct.measurements.records import Scan
from xtinct.radiation.anodes import ANODES
from xtinct.radiation.tubes import Radiation, radiation_of

#: A second wavelength below so many times the first may make a doublet with it.
_WIDEST_DOUBLET = 1.015
#: Tags of positions, of intensities and of their uncertainties, the first that is there being taken.
_POSITIONS = (
    ("_pd_meas_2theta_scan", Axis.TWO_THETA),
    ("_pd_meas_2theta_corrected", Axis.TWO_THETA),
    ("_pd_meas_angle_2theta", Axis.TWO_THETA),
    ("_pd_proc_2theta_corrected", Axis.TWO_THETA),
    ("_pd_proc_d_spacing", Axis.D),
    ("_pd_proc_recip_len_q", Axis.Q),
    ("_pd_meas_time_of_flight", Axis.TIME_OF_FLIGHT),
    ("_pd_proc_energy_detection", Axis.ENERGY),
)
_RANGES = ("_pd_meas_2theta_range", "_pd_proc_2theta_range")
_INTENSITIES = (
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_proc_intensity_total",
    "_pd_meas_counts",
    "_pd_proc_intensity_net",
    "_pd_meas_intensity_net",
)
#: Intensities that are counts, and what they are counted for.
_COUNTED = ("_pd_meas_counts_total", "_pd_meas_counts")
_EXPOSURES = (
    ("_pd_meas_step_count_time", "counting times"),
    ("_pd_meas_counts_monitor", "monitor"),
)
_PEAKS = (
    ("_pd_peak_d_spacing", Axis.D),
    ("_pd_peak_2theta_centroid", Axis.TWO_THETA),
    ("_pd_peak_2theta_maximum", Axis.TWO_THETA),
)
_PEAK_HEIGHTS = ("_pd_peak_intensity", "_pd_peak_pk_height")
_MARK = re.compile(r"_pd_(?:meas|proc|peak)[._]", re.IGNORECASE)


def is_cif(text: str) -> bool:
    """Whether a text is CIF, powder or not."""
    return bool(re.search(r"^[ \t]*data_\S*", text, re.MULTILINE | re.IGNORECASE)) and bool(
        _MARK.search(text) or re.search(r"^[ \t]*(?:loop_|_cell_|_symmetry_|_audit)", text, re.MULTILINE)
    )


def read_pdcif(text: str, name: str, suffix: str) -> list[Scan]:
    """The profiles and lists of peaks of a CIF, one for each block that has any."""
    import gemmi

    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise XtinctError(f"no valid CIF ({str(error).splitlines()[0]})") from None
    scans, other = [], []
    blocks = [_Block(block) for block in document]
    said = [_radiation(block) for block in blocks]
    for block, (radiation, notes) in zip(blocks, said, strict=True):
        try:
            scan = _profile(block) or _peak_list(block)
        except XtinctError as error:
            other.append(f"block {block.name}: {error}")
            continue
        if scan is None:
            continue
        scan.radiation = radiation
        scan.notes += notes
        if radiation is None:
            elsewhere = [(b.name, r) for b, (r, _) in zip(blocks, said, strict=True) if r is not None]
            if len({(r.wavelength, r.second) for _, r in elsewhere}) == 1:
                scan.radiation = elsewhere[0][1]
                scan.notes.append(f"the wavelength is that of block {elsewhere[0][0]}")
        scan.monochromator = block.number("_pd_instr_2theta_monochr_post")
        if scan.monochromator is None:
            scan.monochromator = block.number("_pd_instr_2theta_monochr_pre")
        if (
            scan.monochromator is None
            and "graphite" in (block.text("_diffrn_radiation_monochromator") or "").lower()
        ):
            scan.monochromator = graphite_angle(scan.radiation)
        scan.counting_time = block.number("_pd_meas_step_count_time")
        scan.name = block.name
        scans.append(scan)
    if not scans:
        raise XtinctError(
            "; ".join(other[:3])
            or "a CIF without powder data (_pd_meas_ or _pd_proc_); expected a powder pattern"
        )
    for scan in scans:
        scan.name = f"{name}, block {scan.name}" if len(scans) > 1 else name
        scan.notes += other
    return scans


class _Block:
    """Values of a block by tags in small letters, the dots of DDLm taken as underscores."""

    def __init__(self, block) -> None:
        self.name = block.name
        self.columns: dict[str, list[str]] = {}
        for item in block:
            if item.pair is not None:
                self.columns.setdefault(_plain(item.pair[0]), [item.pair[1]])
            elif item.loop is not None:
                width = item.loop.width()
                values = list(item.loop.values)
                for k, tag in enumerate(item.loop.tags):
                    self.columns.setdefault(_plain(tag), values[k::width])

    def column(self, tag: str) -> np.ndarray | None:
        """Numbers of a column, NaN for . and ?; None if it is missing or has none."""
        import gemmi

        values = self.columns.get(tag)
        if values is None:
            return None
        numbers = np.array([gemmi.cif.as_number(value) for value in values])
        for i in np.flatnonzero(np.isnan(numbers)):
            if values[i] not in (".", "?") and not re.match(r"['\"]?\s*[.?]?\s*['\"]?$", values[i]):
                raise XtinctError(f"{tag}: value {i + 1}, {values[i][:20]!r}, is no number")
        return None if np.isnan(numbers).all() else numbers

    def errors(self, tag: str) -> np.ndarray | None:
        """Standard uncertainties of a column, in parentheses or in one of its own; None if none has any."""
        errors = np.array([_uncertainty(value) for value in self.columns[tag]])
        if not np.isnan(errors).all():
            return errors
        own = self.column(f"{tag}_su")
        return own if own is not None and len(own) == len(errors) else None

    def text(self, tag: str) -> str | None:
        """The first text of a tag, None if it is missing or unknown."""
        import gemmi

        value = gemmi.cif.as_string(self.columns.get(tag, ["?"])[0]).strip()
        return value if value and value not in "?." else None

    def number(self, tag: str) -> float | None:
        """The first number of a tag, None if it is missing or none."""
        import gemmi

        value = gemmi.cif.as_number(self.columns.get(tag, ["?"])[0])
        return float(value) if np.isfinite(value) else None


def _plain(tag: str) -> str:
    return tag.lower().replace(".", "_").replace("-", "_")


def _uncertainty(value: str) -> float:
    match = re.fullmatch(r"[-+]?\d*(?:\.(\d*))?(?:[eE]([-+]?\d+))?\((\d+)\)(?:[eE]([-+]?\d+))?", value)
    if not match:
        return np.nan
    power = int(match[2] or match[4] or 0) - len(match[1] or "")
    return int(match[3]) * 10.0**power


def _profile(block: _Block) -> Scan | None:
    found = [(tag, y) for tag in _INTENSITIES if (y := block.column(tag)) is not None and len(y) > 1]
    if not found:
        return None
    for tag, y in found:
        x, axis, notes = _positions(block, tag, len(y))
        if x is not None:
            break
    else:
        raise XtinctError(f"{found[0][0]} has no positions")
    sigma = block.errors(tag)
    weights = block.column("_pd_proc_ls_weight")
    if sigma is None and weights is not None and len(weights) == len(y):
        with np.errstate(divide="ignore", invalid="ignore"):
            sigma = np.where(weights > 0, 1 / np.sqrt(weights), np.nan)
    if tag.endswith("_net"):
        notes.append(f"{tag}: a background was taken off before")
    missing = np.isnan(x) | np.isnan(y)
    if missing.any():
        notes.append(f"{np.count_nonzero(missing)} points that the CIF leaves out (. or ?) were left out")
        x, y = x[~missing], y[~missing]
        sigma = None if sigma is None else sigma[~missing]
    scan = Scan(x, y, axis, sigma, peaks=False, notes=notes)
    if tag in _COUNTED:
        for exposure, what in _EXPOSURES:
            column = block.column(exposure)
            if column is not None and len(column) == len(missing):
                divide_by_exposure(scan, column[~missing], what)
    return scan


def _positions(block: _Block, tag: str, n: int) -> tuple[np.ndarray | None, Axis | None, list[str]]:
    processed = tag.startswith("_pd_proc")
    # Measured intensities belong to measured positions, processed ones to processed.
    choices = sorted(_POSITIONS, key=lambda choice: choice[0].startswith("_pd_proc") != processed)
    for name, axis in choices:
        x = block.column(name)
        if x is not None and len(x) == n:
            return x, axis, []
    for stem in sorted(_RANGES, key=lambda stem: stem.startswith("_pd_proc") != processed):
        low, high, step = (block.number(f"{stem}_{end}") for end in ("min", "max", "inc"))
        if low is not None and (step or high is not None):
            return _range(low, high, step, n), Axis.TWO_THETA, []
    return None, None, []


def _range(low: float, high: float | None, step: float | None, n: int) -> np.ndarray:
    if high is None:
        return low + step * np.arange(n)
    if step and abs((high - low) / step + 1 - n) > 1.5:
        raise XtinctError(f"{n} points do not fit the range {low:g} to {high:g} in steps of {step:g} degrees")
    return np.linspace(low, high, n)


def _peak_list(block: _Block) -> Scan | None:
    for tag, axis in _PEAKS:
        x = block.column(tag)
        if x is None or not len(x):
            continue
        heights = next(
            (h for t in _PEAK_HEIGHTS if (h := block.column(t)) is not None and len(h) == len(x)), None
        )
        return Scan(x, heights, axis, x_error=block.errors(tag), peaks=True)
    return None


def _radiation(block: _Block) -> tuple[Radiation | None, list[str]]:
    """What the block says of its radiation, None where it says nothing, and what is to be said of that."""
    notes: list[str] = []
    kind = block.text("_diffrn_radiation_type") or ""
    anode = re.search(r"\b(Cr|Fe|Co|Cu|Mo|Ag)\b", kind + " " + (block.text("_diffrn_radiation_source") or ""))
    anode = anode[1] if anode else None
    lengths = block.column("_diffrn_radiation_wavelength")
    if lengths is None:
        lengths = block.column("_pd_proc_wavelength")
        lengths = None if lengths is None else np.unique(lengths)
    if lengths is None:
        return (of_anode(anode) if anode in ANODES else None), notes
    shares = block.column("_diffrn_radiation_wavelength_wt")
    if shares is None or len(shares) != len(lengths) or not (shares > 0).all():
        shares = None
    order = np.argsort(lengths)[: np.count_nonzero(np.isfinite(lengths))]
    lengths, shares = lengths[order], None if shares is None else shares[order]
    neutrons = "neutron" in f"{kind} {block.text('_diffrn_radiation_probe')}".lower()
    taken = [0] if len(lengths) == 1 else _of_several(lengths, shares, doublets=not neutrons)
    if len(taken) < len(lengths):
        told = " and ".join(f"{x:g}" for x in lengths[taken]) or "none"
        notes.append(f"of {len(lengths)} wavelengths {told} {'were' if len(taken) > 1 else 'was'} taken")
    if len(taken) == 2:
        ratio = None if shares is None else float(shares[taken[1]] / shares[taken[0]])
        return said_radiation(*lengths[taken].tolist(), ratio, anode, notes), notes
    if not taken:
        return (of_anode(anode) if anode in ANODES else None), notes
    first = float(lengths[taken[0]])
    return (
        radiation_of(first, ratio=0) if neutrons else said_radiation(first, None, None, anode, notes)
    ), notes


def _of_several(lengths: np.ndarray, shares: np.ndarray | None, *, doublets: bool) -> list[int]:
    """Places of the doublet among wavelengths (n,), angstrom, ascending; else of the one with most share.

    None where neither is known. Of several doublets, as K-beta and K-alpha, the strongest; without shares the
    longest.
    """
    pairs = [[k, k + 1] for k in range(len(lengths) - 1) if lengths[k + 1] < _WIDEST_DOUBLET * lengths[k]]
    if pairs and doublets:
        return pairs[-1] if shares is None else max(pairs, key=lambda pair: float(shares[pair].sum()))
    return [] if shares is None else [int(shares.argmax())]
