"""PANalytical and Philips: XRDML, UDF, and the binary RD and SD."""

import re
import struct

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis
from xtinct.measurements.decoding import lines_of
from xtinct.measurements.headers import graphite_angle, number, said_radiation
from xtinct.measurements.records import Scan
from xtinct.measurements.xml import number_of, root_of, text_of
from xtinct.radiation.tubes import Radiation


def read_xrdml(text: str, name: str, suffix: str) -> list[Scan]:
    """The scans of 2theta of an XRDML document (versions 1.0 to 2.x)."""
    root = root_of(re.sub(r"^\s*<\?xml[^>]*\?>", "", text.lstrip("\ufeff")))
    measurements = root.findall("xrdMeasurement")
    if not measurements:
        raise XtinctError("an XRDML document without a measurement")
    scans, other = [], []
    for k, measurement in enumerate(measurements, start=1):
        for number_, element in enumerate(measurement.findall("scan"), start=1):
            try:
                scan = _xrdml_scan(element)
            except XtinctError as error:
                other.append(f"scan {number_}: {error}")
                continue
            scan.radiation = _xrdml_radiation(measurement, scan.notes)
            graphite = measurement.find("diffractedBeamPath/monochromator/crystal")
            if graphite is not None and "graphite" in (graphite.text or "").lower():
                scan.monochromator = graphite_angle(scan.radiation)
                scan.notes.append("the angle of the monochromator is that of graphite 002")
            scan.name = (
                f"{name}, measurement {k}, scan {number_}"
                if len(measurements) > 1
                else f"{name}, scan {number_}"
            )
            scans.append(scan)
    if not scans:
        raise XtinctError(
            f"no scan of 2theta ({'; '.join(other[:3]) or 'none at all'}); expected a powder pattern"
        )
    if len(scans) == 1:
        scans[0].name = name
    for scan in scans:
        scan.notes += other
    return scans


def _xrdml_radiation(measurement, notes: list[str]) -> Radiation | None:
    used = measurement.find("usedWavelength")
    intended = "" if used is None else (used.get("intended") or "").lower()
    anode = text_of(measurement, "incidentBeamPath/xRayTube/anodeMaterial")
    first, second = number_of(used, "kAlpha1"), number_of(used, "kAlpha2")
    ratio = number_of(used, "ratioKAlpha2KAlpha1")
    if "beta" in intended and number_of(used, "kBeta"):
        return said_radiation(number_of(used, "kBeta"), None, None, anode, notes)
    crystal = measurement.find("incidentBeamPath/monochromator")
    if crystal is not None and second is not None:
        notes.append("a monochromator stands in the incident beam: only K-alpha1 was taken")
        second = None
    return said_radiation(first, second, ratio, anode, notes)


def _values(element, path: str) -> np.ndarray | None:
    text = text_of(element, path)
    if text is None:
        return None
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError:
        raise XtinctError(f"{path} holds something that is no number") from None


#: What counts (from version 2.0 on) are still to be multiplied by: of an attenuator, and of a slit that opens
#: with the angle to what a fixed one would have let through.
_FACTORS = {
    "beamAttenuationFactors": "attenuation factors",
    "divergenceCorrections": "divergence corrections",
}


def _xrdml_scan(element) -> Scan:
    points = element.find("dataPoints")
    if points is None:
        raise XtinctError("has no points")
    intensities, counts = _values(points, "intensities"), _values(points, "counts")
    y = intensities if intensities is not None else counts
    if y is None or not len(y):
        raise XtinctError("has no points")
    notes, sigma = [], None
    for tag, what in _FACTORS.items():
        factors = _values(points, tag)
        if factors is None or not np.any(factors != 1):
            continue
        if len(factors) != len(y) or (factors <= 0).any():
            raise XtinctError(f"has {len(factors)} {what} for {len(y)} points")
        # Counts are those of the detector; intensities are corrected for everything already.
        if intensities is None:
            sigma = (np.sqrt(np.maximum(y, 1)) if sigma is None else sigma) * factors
            y = y * factors
            notes.append(f"counts were multiplied by the {what} of the file")
        elif tag == "beamAttenuationFactors":
            sigma = np.sqrt(np.maximum(y / factors, 1)) * factors
    times = _values(points, "countingTimes")
    if times is not None and len(times) == len(y) and (times > 0).all() and np.ptp(times) > 0:
        mean = float(times.mean())
        sigma = (np.sqrt(np.maximum(y, 1)) if sigma is None else sigma) * mean / times
        with np.errstate(over="ignore"):  # what overflows is refused with its point
            y = y * mean / times
        notes.append(
            f"steps were counted for different times: intensities are brought to {mean:g} seconds a step"
        )
    x = _xrdml_angles(points, len(y), element.get("scanAxis") or "")
    scan = Scan(x, y, Axis.TWO_THETA, sigma, peaks=False, notes=notes)
    scan.counting_time = number_of(points, "commonCountingTime")
    if scan.counting_time is None and times is not None and len(times):
        scan.counting_time = float(times.mean())
    return scan


def _xrdml_angles(points, n: int, scan_axis: str) -> np.ndarray:
    for positions in points.findall("positions"):
        if (positions.get("axis") or "").lower() not in ("2theta", "gonio"):
            continue
        start, stop = number_of(positions, "startPosition"), number_of(positions, "endPosition")
        listed = _values(positions, "listPositions")
        if listed is not None:
            if len(listed) != n:
                raise XtinctError(f"has {len(listed)} positions for {n} points")
            return listed
        if start is not None and stop is not None and start != stop:
            return np.linspace(start, stop, n)
    raise XtinctError(f"is a scan of {scan_axis or 'another axis'}, not of 2theta")


def read_udf(text: str, name: str, suffix: str) -> list[Scan]:
    """The scan of a Philips UDF file."""
    head, _, body = text.partition("RawScan")
    said = {}
    for line in lines_of(head):
        parts = [part.strip() for part in line.split(",")]
        if len(parts) > 1:
            said[parts[0].lower()] = [part for part in parts[1:] if part not in ("/", "")]
    try:
        start = number(said["dataanglerange"][0])
        step = number(said["scanstepsize"][0])
        body = body.split("/")[0]
        y = np.array([float(x) for x in body.replace(",", " ").split()])
    except (KeyError, IndexError, ValueError) as error:
        raise XtinctError(
            f"a damaged Philips UDF file ({error}); expected DataAngleRange, ScanStepSize, RawScan"
        ) from None
    if not len(y):
        raise XtinctError("a damaged Philips UDF file (no intensities); expected them after RawScan")
    scan = Scan(start + step * np.arange(len(y)), y, Axis.TWO_THETA, peaks=False, name=name)
    stop = _first(said, "dataanglerange", 1)
    if stop is not None and abs(stop - scan.x[-1]) > 1.5 * step:
        raise XtinctError(f"says it ends at {stop:g} degrees, but has points to {scan.x[-1]:g}")
    anode = (said.get("anode") or [None])[0]
    scan.radiation = said_radiation(
        _first(said, "labdaalpha1", 0) or _first(said, "lambdaalpha1", 0),
        _first(said, "labdaalpha2", 0) or _first(said, "lambdaalpha2", 0),
        _first(said, "ratioalpha21", 0),
        anode,
        scan.notes,
    )
    scan.counting_time = _first(said, "scansteptime", 0)
    return [scan]


def _first(said: dict[str, list[str]], key: str, place: int) -> float | None:
    try:
        return number(said[key][place])
    except (KeyError, IndexError, ValueError):
        return None


_ANODES = ("Cu", "Mo", "Fe", "Cr")


def read_rd(data: bytes, name: str) -> list[Scan]:
    """The scan of a Philips PC-APD file, versions 3 (RD) and 5 (SD); counts are packed as their roots."""
    if len(data) < 250:
        raise XtinctError("a Philips RD file that is cut short; fetch it anew")
    step, start, stop = struct.unpack_from("<ddd", data, 214)
    begin = 250 if data.startswith(b"V3") else 810
    if not (np.isfinite([step, start, stop]).all() and step > 0 and 0 < stop - start < 360):
        raise XtinctError("a Philips RD file with a damaged header; fetch it anew")
    steps = round((stop - start) / step) + 1
    if len(data) < begin + 2 * (steps - 1):
        raise XtinctError("a Philips RD file that is cut short; fetch it anew")
    packed = np.frombuffer(data, dtype="<u2", offset=begin, count=min(steps, (len(data) - begin) // 2))
    y = np.floor(0.01 * packed.astype(np.float64) ** 2)
    scan = Scan(start + step * np.arange(len(y)), y, Axis.TWO_THETA, peaks=False, name=name)
    scan.notes.append("the format packs counts as ten times their square roots: they are rounded to that")
    if data[85] < len(_ANODES):
        scan.radiation = said_radiation(None, None, None, _ANODES[data[85]], scan.notes)
    return [scan]
