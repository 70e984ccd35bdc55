"""Formats of vendors and programs, from small files of our own with every feature once."""

import io
import struct
import zipfile

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.measurements import PeakTable, read_measurement, read_measurements, read_peaks

# --- PANalytical -------------------------------------------------------------------------------------------


def xrdml(scans, wavelength="", beam="", version="2.0"):
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/{version}"><xrdMeasurement>'
        f'<usedWavelength intended="K-Alpha">{wavelength}</usedWavelength>{beam}{scans}'
        "</xrdMeasurement></xrdMeasurements>"
    )


def xrdml_scan(profile, inner="", axis="2Theta", name="counts", scan_axis="Gonio"):
    values = " ".join(f"{y:.0f}" for y in profile.y)
    return (
        f'<scan scanAxis="{scan_axis}"><dataPoints><positions axis="{axis}" unit="deg">'
        f"<startPosition>10</startPosition><endPosition>45</endPosition></positions>{inner}"
        f'<{name} unit="counts">{values}</{name}></dataPoints></scan>'
    )


DOUBLET = (
    "<kAlpha1>1.5405980</kAlpha1><kAlpha2>1.5444260</kAlpha2><kBeta>1.39225</kBeta>"
    "<ratioKAlpha2KAlpha1>0.5000</ratioKAlpha2KAlpha1>"
)


@pytest.mark.parametrize("version", ["1.0", "1.5", "2.0", "2.3"])
@pytest.mark.parametrize("name", ["counts", "intensities"])
def test_xrdml(same, profile, name, version):
    scan = xrdml_scan(profile, "<commonCountingTime unit='seconds'>12.5</commonCountingTime>", name=name)
    found = same(xrdml(scan, DOUBLET, version=version), "a.xrdml")
    assert found.counting_time == 12.5
    assert (found.radiation.wavelength, found.radiation.second) == (1.540598, 1.544426)
    assert found.radiation.anode == "Cu"


def test_xrdml_of_one_line_and_of_k_beta(same, profile):
    alpha = xrdml(xrdml_scan(profile), "<kAlpha1>1.5405980</kAlpha1>")
    assert same(alpha).radiation.second is None
    none = DOUBLET.replace("0.5000", "0.0000")
    assert same(xrdml(xrdml_scan(profile), none)).radiation.second is None
    beta = xrdml(xrdml_scan(profile), DOUBLET).replace('"K-Alpha"', '"K-Beta"')
    assert same(beta).radiation.wavelength == 1.39225


def test_xrdml_with_a_monochromator(same, profile):
    beam = "<incidentBeamPath><monochromator><crystal>Ge</crystal></monochromator></incidentBeamPath>"
    found = same(xrdml(xrdml_scan(profile), DOUBLET, beam))
    assert found.radiation.second is None
    beam = (
        "<diffractedBeamPath><monochromator><crystal>Graphite</crystal></monochromator></diffractedBeamPath>"
    )
    found = same(xrdml(xrdml_scan(profile), DOUBLET, beam))
    assert found.radiation.second == 1.544426
    assert found.monochromator == pytest.approx(26.6, abs=0.05)


def test_xrdml_behind_an_attenuator(file, profile):
    """Counts are what the detector saw: without the attenuator there were as many times more."""
    factors = np.where((profile.x > 20) & (profile.x < 30), 8.0, 1.0)
    inner = f"<beamAttenuationFactors>{' '.join(f'{f:g}' for f in factors)}</beamAttenuationFactors>"
    found = read_measurement(file(xrdml(xrdml_scan(profile, inner))))
    np.testing.assert_allclose(found.intensity, profile.y * factors)
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y) * factors)
    # Intensities are those without the attenuator already.
    found = read_measurement(file(xrdml(xrdml_scan(profile, inner, name="intensities"))))
    np.testing.assert_allclose(found.intensity, profile.y)
    np.testing.assert_allclose(found.sigma, np.sqrt(np.maximum(profile.y / factors, 1)) * factors)


def test_xrdml_of_a_slit_that_opens_with_the_angle(file, profile):
    """Counts are to be multiplied by the file's corrections, intensities are corrected already."""
    slit = 1 / np.sin(np.radians(profile.x / 2))
    factors = np.where((profile.x > 20) & (profile.x < 30), 8.0, 1.0)
    inner = f"<divergenceCorrections>{' '.join(f'{f:.6f}' for f in slit)}</divergenceCorrections>"
    found = read_measurement(file(xrdml(xrdml_scan(profile, inner))))
    np.testing.assert_allclose(found.intensity, profile.y * slit, rtol=1e-6)
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y) * slit, rtol=1e-6)
    assert "counts were multiplied by the divergence corrections of the file" in found.notes
    plain = read_measurement(file(xrdml(xrdml_scan(profile, inner, name="intensities"))))
    np.testing.assert_allclose(plain.intensity, profile.y)
    inner += f"<beamAttenuationFactors>{' '.join(f'{f:g}' for f in factors)}</beamAttenuationFactors>"
    both = read_measurement(file(xrdml(xrdml_scan(profile, inner))))
    np.testing.assert_allclose(both.intensity, profile.y * slit * factors, rtol=1e-6)
    np.testing.assert_allclose(both.sigma, np.sqrt(profile.y) * slit * factors, rtol=1e-6)
    short = inner.replace("<divergenceCorrections>", "<divergenceCorrections>2.0 ")
    with pytest.raises(XtinctError, match="has 1752 divergence corrections for 1751 points"):
        read_measurement(file(xrdml(xrdml_scan(profile, short))))


def test_xrdml_with_listed_positions_and_times(file, profile):
    listed = " ".join(f"{x:.4f}" for x in profile.x + 0.001 * np.sin(profile.x))
    scan = xrdml_scan(profile).replace(
        "<startPosition>10</startPosition><endPosition>45</endPosition>",
        f"<listPositions>{listed}</listPositions>",
    )
    found = read_measurement(file(xrdml(scan)))
    np.testing.assert_allclose(found.two_theta, profile.x + 0.001 * np.sin(profile.x), atol=6e-5)
    times = np.where(profile.x < 30, 1.0, 3.0)
    inner = f"<countingTimes>{' '.join(map(str, times))}</countingTimes>"
    found = read_measurement(file(xrdml(xrdml_scan(profile, inner))))
    np.testing.assert_allclose(found.intensity / profile.y, times.mean() / times)
    assert found.counting_time == pytest.approx(times.mean())


def test_xrdml_of_several_scans(file, profile):
    rocking = xrdml_scan(profile, axis="Omega", scan_axis="Omega")
    path = file(xrdml(xrdml_scan(profile) + xrdml_scan(profile) + rocking, DOUBLET), "a.xrdml")
    found = read_measurements(path)
    assert [scan.name.removeprefix(str(path)) for scan in found] == [", scan 1", ", scan 2"]
    assert "scan 3: is a scan of Omega, not of 2theta" in found[0].notes
    with pytest.raises(
        XtinctError, match=r"holds 2 scans, choose one by its number \(1: scan 1; 2: scan 2\)"
    ):
        read_measurement(path)
    np.testing.assert_allclose(read_measurement(path, scan="scan 2").intensity, profile.y)
    with pytest.raises(XtinctError, match="no scan of 2theta"):
        read_measurement(file(xrdml(rocking)))


def test_udf(same, profile):
    text = (
        "SampleIdent,Sample5 ,/\nTitle1,Dat2rit program ,/\nDiffrType,PW1710,/\nAnode,Cu,/\n"
        "LabdaAlpha1, 1.54060,/\nLabdaAlpha2, 1.54439,/\nRatioAlpha21, 0.50000,/\n"
        "DataAngleRange,   10.0000,  45.0000,/\nScanStepSize,    0.020,/\nScanType,STEP,/\n"
        "ScanStepTime,    2.50,/\nRawScan\n"
    )
    values = [f"{y:8.0f}" for y in profile.y]
    text += "\n".join(",".join(values[i : i + 8]) for i in range(0, len(values), 8)) + "/\n"
    found = same(text, "a.udf")
    assert (found.radiation.wavelength, found.radiation.second) == (1.5406, 1.54439)
    assert found.counting_time == 2.5


@pytest.mark.parametrize(("version", "begin"), [(b"V3RD", 250), (b"V5RD", 810)])
def test_philips_rd(file, profile, version, begin):
    """Counts are packed as ten times their square roots, in two bytes."""
    data = bytearray(begin)
    data[:4] = version
    data[85] = 0
    struct.pack_into("<ddd", data, 214, 0.02, 10.0, 45.0)
    data += np.round(10 * np.sqrt(profile.y)).astype("<u2").tobytes()
    found = read_measurement(file(bytes(data), "a.rd"))
    np.testing.assert_allclose(found.two_theta, profile.x, atol=1e-9)
    np.testing.assert_allclose(found.intensity, profile.y, atol=0.1 * np.sqrt(profile.y.max()) + 1)
    assert found.radiation.anode == "Cu"


# --- Bruker ------------------------------------------------------------------------------------------------


def raw_1(ranges):
    data = b""
    for k, (start, step, y) in enumerate(ranges):
        header = bytearray(156)
        header[:4] = b"RAW "
        struct.pack_into("<Iff", header, 4, len(y), 2.0, step)
        struct.pack_into("<f", header, 24, start)
        struct.pack_into("<ff", header, 72, 1.5406, 1.54439)
        struct.pack_into("<I", header, 152, len(ranges) - k - 1)
        data += bytes(header) + np.asarray(y, "<f4").tobytes()
    return data


def raw_2(ranges):
    data = bytearray(256)
    data[:4] = b"RAW2"
    struct.pack_into("<H", data, 4, len(ranges))
    data[188:190] = b"Co"
    struct.pack_into("<fff", data, 190, 1.78897, 1.79285, 0.5)
    for start, step, y in ranges:
        header = bytearray(60)
        struct.pack_into("<HH", header, 0, 60, len(y))
        struct.pack_into("<fff", header, 8, 2.0, step, start)
        data += bytes(header) + np.asarray(y, "<f4").tobytes()
    return bytes(data)


def raw_3(ranges, kind=0, extra=0):
    data = bytearray(712)
    data[:8] = b"RAW1.01\0"
    struct.pack_into("<II", data, 8, 1, len(ranges))
    data[608:610] = b"Cu"
    struct.pack_into("<5d", data, 616, 1.54184, 1.5406, 1.54439, 1.39222, 0.5)
    for start, step, y in ranges:
        header = bytearray(304)
        struct.pack_into("<IIdd", header, 0, 304, len(y), start / 2, start)
        struct.pack_into("<d", header, 176, step)
        struct.pack_into("<fI", header, 192, 2.0, kind)
        struct.pack_into("<dIII", header, 240, 1.5406, 0, 4, extra)
        data += bytes(header) + bytes(extra) + np.asarray(y, "<f4").tobytes()
    return bytes(data)


def raw_4(ranges, kind=b"Locked Coupled", datum=4, drive=None):
    data = bytearray(61)
    data[:8] = b"RAW4.00\0"
    data += struct.pack("<II", 10, 40) + bytes(32)
    tube = bytearray(136)
    struct.pack_into("<II", tube, 0, 30, 136)
    struct.pack_into("<5d", tube, 72, 1.54184, 1.5406, 1.54439, 1.39222, 0.5)
    tube[116:118] = b"Cu"
    data += tube
    for start, step, y in ranges:
        header = bytearray(160)
        header[32 : 32 + len(kind)] = kind
        struct.pack_into("<ddIf", header, 72, start if drive is None else 0.0, step, len(y), 2.0)
        supplement = b""
        if drive is not None:
            segment = bytearray(64)
            struct.pack_into("<II", segment, 0, 50, 64)
            segment[12 : 12 + len(drive)] = drive
            struct.pack_into("<d", segment, 56, start)
            supplement = bytes(segment)
        struct.pack_into("<II", header, 136, datum, len(supplement))
        records = np.zeros((len(y), datum // 4), "<f4")
        records[:, 0] = y
        data += bytes(header) + supplement + records.tobytes()
    return bytes(data)


@pytest.mark.parametrize("write", [raw_1, raw_2, raw_3, raw_4])
def test_raw(same, profile, write):
    found = same(write([(10.0, 0.02, profile.y)]), "a.raw", off=1e-3)
    assert found.counting_time == 2.0
    assert found.radiation.second == pytest.approx({raw_2: 1.79285}.get(write, 1.54439))
    # The name does not matter, nor does compression.
    same(write([(10.0, 0.02, profile.y)]), "a.dat", off=1e-3)


@pytest.mark.parametrize("write", [raw_1, raw_2, raw_3, raw_4])
def test_raw_of_several_ranges(file, profile, write):
    path = file(write([(10.0, 0.02, profile.y), (80.0, 0.05, profile.y[:99])]), "a.raw")
    first, second = read_measurements(path)
    assert (len(first.two_theta), len(second.two_theta)) == (profile.n, 99)
    np.testing.assert_allclose(second.two_theta[[0, -1]], [80, 84.9], atol=1e-4)
    with pytest.raises(XtinctError, match="holds 2 scans"):
        read_measurement(path)


def test_raw_3_with_more_headers(same, profile):
    same(raw_3([(10.0, 0.02, profile.y)], extra=40))


def test_raw_4_of_drives_that_move_alone(same, profile):
    same(raw_4([(10.0, 0.02, profile.y)], b"Unlocked Coupled", datum=8, drive=b"2Theta"))
    same(raw_4([(10.0, 0.02, profile.y)], b"Detector Scan"))


@pytest.mark.parametrize(
    "content",
    [raw_3([(10.0, 0.02, np.ones(50))], kind=3), raw_4([(10.0, 0.02, np.ones(50))], b"Rocking Curve")],
)
def test_raw_of_other_drives(file, content):
    with pytest.raises(XtinctError, match="no scan of 2theta"):
        read_measurement(file(content, "a.raw"))


@pytest.mark.parametrize("write", [raw_1, raw_2, raw_3, raw_4])
def test_raw_that_is_cut_short(file, profile, write):
    whole = write([(10.0, 0.02, profile.y)])
    for length in (9, 70, 400, len(whole) - 5):
        with pytest.raises(XtinctError, match=r"cut short|damaged|empty|binary|no scan"):
            read_measurement(file(whole[:length], "a.raw"))


def brml(routes, alpha=True):
    tube = (
        '<WaveLengthAlpha1 Unit="Å" Value="1.5406"/><WaveLengthAlpha2 Value="1.54439"/>'
        '<WaveLengthRatio Value="0.5"/><TubeMaterial>Cu</TubeMaterial>'
    )
    document = f"<?xml version='1.0'?><RawData><DataRoutes>{routes}</DataRoutes>{tube}</RawData>"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "Experiment0/DataContainer.xml",
            "<DataContainer><RawDataReferenceList><string>Experiment0/RawData0.xml</string></RawDataReferenceList>"
            "</DataContainer>",
        )
        archive.writestr("Experiment0/RawData0.xml", document)
    return stream.getvalue()


VIEWS = """<DataViews xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<RawDataView xsi:type="FixedRawDataView" Start="0" Length="1" LogicName="MeasuredTime" Unit="s"/>
<RawDataView xsi:type="FixedRawDataView" Start="1" Length="1" LogicName="AbsorptionFactor" Unit=""/>
<RawDataView xsi:type="VaryingRawDataView" Start="2" Length="2"><Varying LogicName="ScanAxes">
<FieldDefinitions FieldName="TwoTheta" AxisId="TwoTheta"/><FieldDefinitions FieldName="Theta" AxisId="Theta"/>
</Varying></RawDataView>
<RawDataView xsi:type="RecordedRawDataView" Start="4" Length="1" MeasuredDataIndex="0">
<Recording LogicName="ScanCounter"/></RawDataView></DataViews>"""


def route(profile, factors=None, title="Coupled TwoTheta/Theta", axes=("TwoTheta", "Theta"), extra=()):
    infos = "".join(f'<ScanAxisInfo AxisId="{axis}"/>' for axis in axes)
    factors = np.ones(profile.n) if factors is None else factors
    data = "".join(
        "<Datum>" + ",".join(f"{v:g}" for v in (1.5, f, round(x, 4), round(x / 2, 4), *extra, y)) + "</Datum>"
        for x, y, f in zip(profile.x, profile.y, factors, strict=True)
    )
    return (
        f'<DataRoute RouteFlag="Measured"><ScanInformation VisibleName="{title}">'
        f"<TimePerStep>1.5</TimePerStep><ScanAxes>{infos}</ScanAxes></ScanInformation>{data}</DataRoute>"
    )


def test_brml(same, file, profile):
    found = same(brml(route(profile)), "a.brml")
    assert (found.radiation.wavelength, found.radiation.second) == (1.5406, 1.54439)
    assert found.counting_time == 1.5
    same(brml(route(profile, extra=(-0.1, 0, 2.6))), "a.brml")
    same(brml(route(profile).replace("</DataRoute>", VIEWS + "</DataRoute>")))
    # The views go before the order of the axes.
    turned = route(profile, axes=("Theta", "TwoTheta")).replace("</DataRoute>", VIEWS + "</DataRoute>")
    same(brml(turned))
    channels = VIEWS.replace('Start="4" Length="1"', 'Start="4" Length="128"')
    with pytest.raises(XtinctError, match="a detector's channels"):
        read_measurement(
            file(brml(route(profile).replace("</DataRoute>", channels + "</DataRoute>")), "a.brml")
        )


def test_brml_behind_an_absorber(same, profile):
    """The file's intensities are corrected; their noise is that of the counts behind the absorber."""
    factors = np.where(profile.x > 20, 8.3, 1.0)
    found = same(brml(route(profile, factors)), "a.brml")
    np.testing.assert_allclose(found.sigma, factors * np.sqrt(profile.y / factors))


def test_brml_of_other_drives(file, profile):
    with pytest.raises(XtinctError, match="Rocking Curve is no scan of 2theta"):
        read_measurement(file(brml(route(profile, title="Rocking Curve")), "a.brml"))
    both = read_measurements(
        file(brml(route(profile) + route(profile, title="Phi scan", axes=("Phi",))), "b.brml")
    )
    assert len(both) == 1


UXD = """; C:\\data\\a.raw converted
_FILEVERSION=2
_SAMPLE='BT86'
_WL_UNIT='A'
_WL1=1.540600
_WL2=1.544390
_WLRATIO=0.500000
_ANODE='Cu'
; (Data for Range number 1)
_DRIVE='COUPLED'
_STEPTIME=2.500000
_STEPSIZE=0.020000
_STEPMODE='C'
_START=10.000000
_2THETA=10.000000
"""


def test_uxd(same, file, profile):
    values = "\n".join(" ".join(f"{y:.0f}" for y in profile.y[i : i + 8]) for i in range(0, profile.n, 8))
    found = same(UXD + "_COUNTS\n" + values + "\n", "a.uxd")
    assert found.counting_time == 2.5
    assert found.radiation.second == 1.54439
    pairs = "".join(f"{x:.2f}, {y:.0f}\n" for x, y in zip(profile.x, profile.y, strict=True))
    same(UXD + "_2THETACOUNTS\n" + pairs)
    rates = "".join(f"{x:.2f} {y:.0f}\n" for x, y in zip(profile.x, profile.y, strict=True))
    found = same(UXD + "_2THETACPS\n" + rates)
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y / 2.5))
    second = UXD[UXD.index("_DRIVE") :].replace("_START=10", "_START=60") + "_COUNTS\n" + values + "\n"
    two = UXD + "_COUNTS\n" + values + "\n; second\n" + second
    assert len(read_measurements(file(two, "b.uxd"))) == 2


def test_uxd_of_other_drives(file, profile):
    """A rocking curve stands under _2THETACOUNTS, too: the drive tells, and other ranges are read."""
    pairs = "_2THETACOUNTS\n" + "".join(
        f"{x:.2f} {y:.0f}\n" for x, y in zip(profile.x, profile.y, strict=True)
    )
    for drive in ("THETA", "PHI", "Z"):
        other = UXD.replace("COUPLED", drive) + pairs
        with pytest.raises(XtinctError, match=f"no scan of 2theta .range 1: _DRIVE='{drive.lower()}'"):
            read_measurement(file(other, "a.uxd"))
        found = read_measurement(file(f"{other}_DRIVE='2THETA'\n{pairs}", "a.uxd"))
        np.testing.assert_allclose(found.two_theta, profile.x)
        assert f"range 1: _DRIVE='{drive.lower()}' is no scan of 2theta" in found.notes


def test_uxd_says_again_only_what_changes(file, profile):
    """The second range has the step and the time of the first."""
    counts = "_COUNTS\n" + "\n".join(f"{y:.0f}" for y in profile.y) + "\n"
    path = file(f"{UXD}{counts}_DRIVE='COUPLED'\n_START=60.0\n{counts}", "a.uxd")
    second = read_measurement(path, scan=2)
    np.testing.assert_allclose(second.two_theta, profile.x + 50)
    assert second.counting_time == 2.5


def test_uxd_counts_of_varying_times(same, profile):
    times = np.where(profile.x < 30, 1.0, 3.0)
    rows = "".join(
        f"{x:.2f} {y:.0f} {t:g}\n" for x, y, t in zip(profile.x, profile.y * times, times, strict=True)
    )
    found = same(f"{UXD}_2THETACOUNTSTIME\n{rows}", "a.uxd")
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y / times))


# --- Rigaku ------------------------------------------------------------------------------------------------


def ras(profile, factor=None, y=None, axis="2-Theta/Theta", more="", start=True):
    factor = np.ones(profile.n) if factor is None else factor
    y = profile.y if y is None else y
    body = "".join(f"{a:.4f} {b:.4f} {c:.4f}\n" for a, b, c in zip(profile.x, y, factor, strict=True))
    return (
        ("*RAS_DATA_START\n" if start else "") + '*RAS_HEADER_START\n*FILE_TYPE "RAS_RAW"\n'
        '*HW_XG_TARGET_NAME "Cu"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
        f'*HW_XG_WAVE_LENGTH_ALPHA2 "1.544414"\n*MEAS_SCAN_AXIS_X "{axis}"\n'
        '*MEAS_SCAN_SPEED "2.4"\n*MEAS_SCAN_SPEED_UNIT "deg/min"\n*MEAS_SCAN_STEP "0.02"\n'
        f'*MEAS_SCAN_UNIT_Y "counts"\n{more}*RAS_HEADER_END\n*RAS_INT_START\n{body}*RAS_INT_END\n'
    )


def test_ras(same, profile):
    found = same(ras(profile) + "*RAS_DATA_END\n", "a.ras")
    assert (found.radiation.wavelength, found.radiation.second) == (1.540593, 1.544414)
    # 0.02 degrees at 2.4 degrees a minute take half a second.
    assert found.counting_time == 0.5
    one = same(ras(profile, more='*HW_XG_WAVE_TYPE "Ka1"\n'))
    assert one.radiation.second is None
    graphite = same(ras(profile, more='*HW_COUNTER_MONOCHRO_NAME "Graphite"\n'))
    assert graphite.monochromator == pytest.approx(26.6, abs=0.05)
    same(ras(profile).replace("*RAS_INT_END\n", ""))


def test_ras_of_several_scans(file, profile):
    text = (
        ras(profile) + ras(profile, start=False) + ras(profile, axis="Omega", start=False) + "*RAS_DATA_END\n"
    )
    found = read_measurements(file(text))
    assert len(found) == 2
    assert "a scan of Omega was left out" in found[0].notes


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis", "euc_jp", "gbk"])
def test_ras_of_installations_in_the_east(file, profile, encoding):
    """They write theta in the encoding of their country, and omega too, which is another drive."""
    text = ras(profile, axis="2\u03b8/\u03b8") + ras(profile, axis="\u03c9", start=False)
    found = read_measurement(file(text, encoding=encoding))
    np.testing.assert_allclose(found.two_theta, profile.x)
    with pytest.raises(XtinctError, match="no scan of 2theta"):
        read_measurement(file(ras(profile, axis="\u03c9"), encoding=encoding))


def test_ras_behind_an_attenuator(file, profile):
    """Of two readings of the third column the one without a jump where it changes is right."""
    factor = np.where((profile.x > 20.5) & (profile.x < 21.5), 10.0, 1.0)
    for seen in (profile.y / factor, profile.y):
        found = read_measurement(file(ras(profile, factor, seen)))
        np.testing.assert_allclose(found.intensity, profile.y, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            found.sigma, factor * np.sqrt(np.maximum(profile.y / factor, 1)), rtol=0.05
        )


def rasx(profile, y=None, wave_type="Ka", axis="TwoThetaTheta"):
    y = profile.y if y is None else y
    body = "\ufeff" + "".join(f"{a:.4f}\t{b:g}\t1\r\n" for a, b in zip(profile.x, y, strict=True))
    conditions = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><MeasurementConditions><HWConfigurations><XrayGenerator>'
        f"<TargetName>Cu</TargetName><WaveType>{wave_type}</WaveType><WavelengthKalpha1>1.540593</WavelengthKalpha1>"
        "<WavelengthKalpha2>1.544414</WavelengthKalpha2></XrayGenerator></HWConfigurations><ScanInformation>"
        f"<AxisName>{axis}</AxisName><Step>0.02</Step><Speed>2.4</Speed><SpeedUnit>deg/min</SpeedUnit>"
        "<IntensityUnit>counts</IntensityUnit></ScanInformation></MeasurementConditions>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "root.xml",
            '<Root><Data0 Type="Profile"><ContentHashList Name="Profile0.txt"/>'
            '<ContentHashList Name="MesurementConditions0.xml"/></Data0></Root>',
        )
        archive.writestr("Data0/Profile0.txt", body.encode())
        archive.writestr("Data0/MesurementConditions0.xml", conditions.encode())
    return stream.getvalue()


def test_rasx(same, file, profile):
    found = same(rasx(profile), "a.rasx")
    assert (found.radiation.second, found.counting_time) == (1.544414, 0.5)
    assert same(rasx(profile, wave_type="Ka1"), "a.rasx").radiation.second is None
    with pytest.raises(XtinctError, match="a scan of Omega was left out"):
        read_measurement(file(rasx(profile, axis="Omega"), "b.rasx"))


def asc(profile, unit="counts", count=None):
    values = [f"{y:.0f}" for y in profile.y]
    body = "\n".join(",  ".join(values[i : i + 4]) for i in range(0, len(values), 4))
    group = (
        "*BEGIN\n*GROUP\t=  0\n*SCAN_AXIS\t=  2theta/theta\n*XUNIT\t=  deg\n*YUNIT\t=  {unit}\n"
        "*START\t=  10.0000\n*STOP\t=  45.0000\n*STEP\t=  0.0200\n*SPEED\t=  2.4\n*SPEED_DIM\t=  deg./min\n"
        "*COUNT\t=  {count}\n{body}\n*END\n"
    )
    return (
        "*TYPE\t=  Raw\n*CLASS\t=  Standard measurement\n*GROUP_COUNT\t=  1\n*TARGET\t=  Cu\n"
        "*WAVE_LENGTH1\t=  1.54056\n*WAVE_LENGTH2\t=  1.54439\n"
        + group.format(unit=unit, count=count or profile.n, body=body)
        + "*EOF\n"
    )


def test_rigaku_asc(same, file, profile):
    found = same(asc(profile), "a.asc")
    assert (found.radiation.wavelength, found.radiation.second, found.counting_time) == (
        1.54056,
        1.54439,
        0.5,
    )
    rates = same(asc(profile, unit="cps"))
    np.testing.assert_allclose(rates.sigma, np.sqrt(np.maximum(profile.y * 0.5, 1)) / 0.5, rtol=0.02)
    with pytest.raises(XtinctError, match="says 9 points and has 1751"):
        read_measurement(file(asc(profile, count=9)))


# --- GSAS --------------------------------------------------------------------------------------------------


def eights(fields, per_row):
    return "".join("".join(fields[i : i + per_row]).ljust(80) + "\n" for i in range(0, len(fields), per_row))


def gsas(profile, kind, head="sample\n", binning="CONST"):
    n = profile.n
    if kind == "STD":
        body = eights([f"  {y:6.0f}" for y in profile.y], 10)
    elif kind == "ESD":
        body = eights([f"{v:8.1f}" for y in profile.y for v in (y, 2 * np.sqrt(y))], 10)
    else:
        third = [f" {2 * np.sqrt(y):.5f}" if kind == "FXYE" else "" for y in profile.y]
        body = "".join(
            f" {100 * x:.3f} {y:.3f}{e}\n" for x, y, e in zip(profile.x, profile.y, third, strict=True)
        )
    return f"{head}BANK 1 {n} {body.count(chr(10))} {binning} 1000.00 2.00 0 0 {kind}\n{body}"


@pytest.mark.parametrize("kind", ["STD", "ESD", "FXY", "FXYE"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_gsas(same, profile, kind, end):
    found = same(gsas(profile, kind).replace("\n", end), "a.gsa")
    if kind in ("ESD", "FXYE"):
        np.testing.assert_allclose(found.sigma, 2 * np.sqrt(profile.y), atol=0.06)
    elif kind == "STD":
        np.testing.assert_allclose(found.sigma, np.sqrt(profile.y))
    assert "positions were converted from hundredths of a degree" in found.notes
    assert found.radiation is None


def test_gsas_fields_that_touch(file, profile):
    """An intensity of eight characters joins the uncertainty before it; zeros fill the last row."""
    y = np.where(profile.y == profile.y.max(), 123456.5, profile.y)
    sigma = np.where(np.roll(y, -1) > 1e5, 12345.5, 1.5)
    values = [f"{v:8.1f}" for pair in zip(y, sigma, strict=True) for v in pair]
    last = "     0.0" * (-len(values) % 10)
    text = eights(values, 10).rstrip("\n") + last + "\n"
    assert len(text.split()) >= len(values)
    head = "\n".join(gsas(profile, "ESD").splitlines()[:2])
    found = read_measurement(file(f"{head}\n{text}"))
    np.testing.assert_allclose(found.intensity, y)
    np.testing.assert_allclose(found.sigma, sigma)


def test_gsas_of_many_counters(same, profile):
    """Five counters that agree on a mean make its uncertainty smaller by the root of five."""
    body = eights([f" 5{y:6.0f}" for y in profile.y], 10)
    found = same(f"title\nBANK 1 {profile.n} 176 CONST 1000 2 0 0\n{body}", "a.raw")
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y / 5))


def test_gsas_says_its_wavelength_in_comments(same, profile):
    head = "11bmb_8716.mda\n# Time per step (sec) =   0.2\n# Calibrated wavelength =  0.413259\n"
    found = same(gsas(profile, "FXYE", head), "a.fxye")
    assert (found.radiation.wavelength, found.counting_time) == (0.413259, 0.2)


def test_gsas_of_two_banks(file, profile):
    text = gsas(profile, "STD") + gsas(profile, "ESD", "").replace("BANK 1", "BANK 2")
    found = read_measurements(file(text))
    assert [scan.name[-6:] for scan in found] == ["bank 1", "bank 2"]
    np.testing.assert_allclose(found[1].intensity, profile.y)


def test_a_number_of_a_scan_is_no_digit_of_another(file, profile):
    """Of ten banks 0 and 11 are none, though a 0 stands in the name of the tenth; the first is number 5."""
    path = file("".join(gsas(profile, "STD", "").replace("BANK 1", f"BANK {k}") for k in range(5, 15)))
    for scan in (0, "0", "\u00b2"):
        with pytest.raises(XtinctError, match=rf"no scan is {scan!r} .1: bank 5; 2: bank 6"):
            read_measurement(path, scan=scan)
    found = [read_measurement(path, scan=scan).name for scan in (1, np.int64(1), "1", 11, "bank 11")]
    assert [name.rpartition(", ")[2] for name in found] == ["bank 5"] * 3 + ["bank 11"] * 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("BANK 1 2720 680 RALF   81743.      65.   81743. 0.00080  ALT", "time of flight"),
        ("BANK 1 2720 680 SLOG 1000 20000 0.0004 0 FXYE", "time of flight"),
        ("BANK 1 2720 680 TIME_MAP 1 STD", "time of flight"),
        ("BANK 1 2720 680 CONST 7000 10 0 0 STD", "time of flight"),
        ("BANK 1 2720 680 EDS 1 2 3 4 STD", "EDS"),
        ("BANK 1 1700 170 CONST 5 0.02 0 0 STD", "if these are degrees"),
        ("BANK 1 2720 680 CONST", "start and step"),
        ("BANK 1 2720 680 CONST 500 0 0 0 STD", "start and step"),
        ("BANK 1 1700 170 CONST 500 2 0 0 STD", "cut short"),
    ],
)
def test_gsas_that_is_refused(file, line, words):
    with pytest.raises(XtinctError, match=words):
        read_measurement(file("title\n" + line + "\n" + eights([f"{k:8d}" for k in range(100)], 10)))


def test_a_gsas_bank_that_lacks_a_few_points_says_so(file, profile):
    text = gsas(profile, "STD").splitlines()
    found = read_measurement(file("\n".join(text[:-2])))
    np.testing.assert_array_equal(found.two_theta, profile.x[: len(found.two_theta)])
    assert f"the bank says 1751 points and has {len(found.two_theta)}" in found.notes


# --- Rietveld programs and others --------------------------------------------------------------------------


def block(values, per_row, form="{:8.0f}"):
    return "".join(
        "".join(form.format(v) for v in values[i : i + per_row]) + "\n"
        for i in range(0, len(values), per_row)
    )


@pytest.mark.parametrize(
    "head",
    [
        "   10.000   0.020   45.000  Y2O3\n",
        "10 0.02 45\n",
        "  10.000    .020  45.000\n",
        "! a comment\n  10.0  0.02  45.0\n",
        "Y2O3 powder, CuKa\n another line\n  10.0  0.02  45.0  title\n",
        "10.0 45.0 0.02\n",
        "/* XDD of XFIT */\n10.0 0.02 45.0\n",
    ],
)
@pytest.mark.parametrize("per_row", [1, 8, 10])
def test_start_step_end(same, profile, head, per_row):
    """FullProf INSTRM = 0, DBWS, LHPM and XDD."""
    found = same(head + block(profile.y, per_row), "a.dat")
    assert found.sigma is None
    assert (found.radiation is not None) == ("CuKa" in head)


def test_fields_of_a_grid_may_touch(file, profile):
    """Fortran's 3F8: three digits before the point leave no blank between step and end."""
    found = read_measurement(file("100.0000  0.0200135.0000 \n" + block(profile.y, 10), "a.dat"))
    np.testing.assert_allclose(found.two_theta, profile.x + 90, atol=1e-6)
    np.testing.assert_array_equal(found.intensity, profile.y)


def test_fullprof_with_uncertainties(same, profile):
    """INSTRM = 8 (DMC): intensities, then as many uncertainties, then words."""
    text = "HRPT, Y2O3\nlambda=  1.49400, T=   0.000\n  10.000   0.020  45.000 18000000., sample=x\n"
    text += block(profile.y, 10) + block(np.sqrt(profile.y), 10, "{:8.3f}") + " Filelist='HRPT/2001'\n"
    found = same(text, "a.dat")
    assert found.radiation.wavelength == 1.494
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y), atol=1e-3)


def test_fullprof_of_many_counters(same, profile):
    """INSTRM = 1 (D1A of old): ten times a number of counters and their mean, ended by -1000."""
    body = eights([f" 3{y:6.0f}" for y in profile.y], 10)
    found = same("  10.00   0.02   45.00\n" + body + "   -1000\n", "a.dat")
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y / 3))


def test_fullprof_of_d1a_and_d2b(same, file, profile):
    """INSTRM = 6: the step in the second line, the first angle in the third, counters and counts to -1000."""
    head = "20/04/1996 Y2O3 (RT-3T2, Lambda: 1.2272 angstroms)\n     100       0   0.020      20       0\n"
    head += "  10.000\n  34000.      0.    0.00    0.00\n"
    body = eights([f" 3{y:6.0f}" for y in profile.y], 10)
    found = same(head + body + "   -1000\n  -10000\n", "a.dat")
    assert found.radiation.wavelength == 1.2272
    np.testing.assert_allclose(found.sigma, np.sqrt(profile.y / 3))
    damaged = body.splitlines()
    damaged[7] = damaged[7][:30] + "x" + damaged[7][31:]
    with pytest.raises(XtinctError, match=r"row 12: .* has no counters and counts"):
        read_measurement(file(head + "\n".join(damaged) + "\n   -1000\n"))


def test_fullprof_of_d1a_with_one_monitor(same, profile):
    """INSTRM = 6 as some write it: a monitor alone above the counts."""
    head = "CuF2 (1.5 K)\n     100       0  0.0200       1       0       0       0\n  10.000\n   8957.\n"
    same(head + eights([f" 2{y:6.0f}" for y in profile.y], 10) + "   -1000\n", "a.dat")


def test_fullprof_reads_to_the_end_that_is_said(same, file, profile):
    """INSTRM = 0 with an intensity a line and blank lines: what goes beyond the end is left out, and said."""
    rows = [*profile.y, *profile.y[:30]]
    body = "".join(f"\n{y:8.0f}.\n" for y in rows)
    found = same("10.00 0.02 45.00\n" + body, "a.dat")
    assert any("30 intensities beyond the end" in note for note in found.notes)
    with pytest.raises(XtinctError):
        read_measurement(file("10.00 0.02 45.00\n" + "".join(f"{y:8.0f}.\n" for y in [*rows, *rows[:200]])))


def test_fullprof_in_columns(same, profile):
    """INSTRM = 10: XYDATA, a few lines of words, then x, y, e."""
    head = "XYDATA\nINTER   1.0 1.0 0 0.02\nTEMP 300\n! 2theta y e\n"
    body = "".join(
        f"{x:10.4f}{y:12.2f}{np.sqrt(y):10.3f}\n" for x, y in zip(profile.x, profile.y, strict=True)
    )
    np.testing.assert_allclose(same(head + body, "a.dat").sigma, np.sqrt(profile.y), atol=1e-3)


def test_cpi(same, file, profile):
    head = "SIETRONICS XRD SCAN\n10.00\n45.00\n0.020\nCu\n1.54056\n1-1-1900\n0.600\nHH117 Y2O3\nSCANDATA\n"
    found = same(head + block(profile.y, 1, "{:.0f}"), "a.cpi")
    assert found.radiation.wavelength == 1.54056
    with pytest.raises(XtinctError, match="says it ends at 45"):
        read_measurement(file(head + block(profile.y[:99], 1, "{:.0f}")))


def test_mdi(same, file, profile):
    head = "05/02/98 DIF Y2O3 powder\n  10.000   0.0200  1.5 0 CU 1.54059  45.00 1751\n"
    found = same(head + block(profile.y, 8), "a.mdi")
    assert (found.radiation.wavelength, found.counting_time) == (1.54059, 1.5)
    with pytest.raises(XtinctError, match="says 1751 points"):
        read_measurement(file(head + block(profile.y[:99], 8)))


JCAMP = """##TITLE=Y2O3
##JCAMP-DX=4.24
##DATA TYPE=X-RAY DIFFRACTION
##ORIGIN=here
##OWNER=nobody
##XUNITS=2-THETA (DEGREES)
##YUNITS=COUNTS
##FIRSTX=10.0
##LASTX=45.0
##DELTAX=0.02
##XFACTOR=1.0
##YFACTOR={factor}
##NPOINTS=1751
##$WAVELENGTH=1.5406
"""


def test_jcamp(same, file, profile):
    rows = "".join(
        f"{profile.x[i]:.2f} " + " ".join(f"{y:.0f}" for y in profile.y[i : i + 6]) + "\n"
        for i in range(0, profile.n, 6)
    )
    found = same(JCAMP.format(factor=1.0) + "##XYDATA=(X++(Y..Y))\n" + rows + "##END=\n", "a.jdx")
    assert found.radiation.wavelength == 1.5406
    pairs = "".join(f"{x:.2f}, {y:.0f}\n" for x, y in zip(profile.x, profile.y, strict=True))
    same(JCAMP.format(factor=1.0) + "##XYPOINTS= (XY..XY)\n" + pairs + "##END=\n")
    half = read_measurement(file(JCAMP.format(factor=0.5) + "##XYDATA=(X++(Y..Y))\n" + rows + "##END=\n"))
    np.testing.assert_allclose(half.intensity, profile.y / 2)
    with pytest.raises(XtinctError, match="1751 points and has"):
        read_measurement(
            file(JCAMP.format(factor=1.0) + "##XYDATA=(X++(Y..Y))\n" + rows[:900] + "\n##END=\n")
        )
    text = JCAMP.format(factor=1.0).replace("2-THETA (DEGREES)", "1/CM") + "##XYDATA=(X++(Y..Y))\n" + rows
    with pytest.raises(XtinctError, match="XUNITS '1/CM'"):
        read_measurement(file(text + "##END=\n"))


def test_jcamp_of_another_measurement_is_refused_by_name(file):
    text = JCAMP.format(factor=1.0).replace("X-RAY DIFFRACTION", "NMR SPECTRUM")
    with pytest.raises(XtinctError, match=r"another measurement \(NMR SPECTRUM\)"):
        read_measurement(file(text + "##XYDATA=(X++(Y..Y))\n10 1 2 3\n##END=\n"))


def test_jcamp_packed(same, profile):
    """DIF and DUP forms of McDonald & Wilks (1988), Appl. Spectrosc. 42, 151, written digit by digit."""
    y = profile.y.astype(int)
    first = {str(d): "@ABCDEFGHI"[d] for d in range(10)}, {str(d): "@abcdefghi"[d] for d in range(10)}
    other = {str(d): "%JKLMNOPQR"[d] for d in range(10)}, {str(d): "%jklmnopqr"[d] for d in range(10)}

    def packed(value, table):
        digits = str(abs(value))
        return table[int(value < 0)][digits[0]] + digits[1:]

    lines, i = [], 0
    while i < len(y):
        stop = min(i + 20, len(y))
        line = f"{profile.x[i] if i == 0 else profile.x[i - 1]:.2f}"
        start = i if i == 0 else i - 1
        line += packed(y[start], first)
        line += "".join(packed(y[k] - y[k - 1], other) for k in range(start + 1, stop))
        lines.append(line)
        i = stop
    same(JCAMP.format(factor=1.0) + "##XYDATA=(X++(Y..Y))\n" + "\n".join(lines) + "\n##END=\n", "a.dx")


def test_jcamp_peaks(file):
    text = (
        JCAMP.format(factor=1.0).replace("1751", "3")
        + "##PEAK TABLE=(XY..XY)\n28.44, 100\n47.30, 65\n56.12, 38\n##END=\n"
    )
    found = read_measurement(file(text))
    assert isinstance(found, PeakTable)
    np.testing.assert_allclose(
        found.d, 1.5406 / (2 * np.sin(np.radians(np.array([28.44, 47.30, 56.12]) / 2)))
    )


# --- pdCIF -------------------------------------------------------------------------------------------------


def loop(*columns):
    tags = "".join(f"{tag}\n" for tag, _ in columns)
    return (
        "loop_\n" + tags + "".join(" ".join(row) + "\n" for row in zip(*(v for _, v in columns), strict=True))
    )


def texts(values, form="{:.4f}"):
    return [form.format(v) for v in values]


@pytest.mark.parametrize(
    ("position", "form"),
    [
        ("_pd_meas_2theta_scan", "x"),
        ("_pd_meas_angle_2theta", "x"),
        ("_pd_meas.2theta_scan", "x"),
        ("_pd_proc_2theta_corrected", "x"),
        ("_pd_proc_d_spacing", "d"),
        ("_pd_proc_recip_len_Q", "q"),
    ],
)
@pytest.mark.parametrize(
    "intensity",
    [
        "_pd_meas_counts_total",
        "_pd_meas_intensity_total",
        "_pd_proc_intensity_total",
        "_pd_proc_intensity_net",
    ],
)
def test_pdcif(same, profile, position, form, intensity):
    text = "data_p\n_diffrn_radiation_wavelength 1.5406\n_pd_meas_step_count_time 4\n" + loop(
        (position, texts(getattr(profile, form), "{:.10g}")), (intensity, texts(profile.y, "{:.0f}"))
    )
    found = same(text, "a.cif")
    assert (found.radiation.wavelength, found.counting_time) == (1.5406, 4)


@pytest.mark.parametrize("stem", ["_pd_meas_2theta_range", "_pd_proc_2theta_range"])
def test_pdcif_of_a_range_alone(same, file, profile, stem):
    text = f"data_p\n{stem}_min 10\n{stem}_max 45\n{stem}_inc 0.02\n"
    counts = loop(("_pd_meas_counts_total", texts(profile.y, "{:.0f}")))
    same(text + counts)
    same(text.replace(f"{stem}_max 45\n", "") + counts)
    with pytest.raises(XtinctError, match="1751 points do not fit the range"):
        read_measurement(file(text.replace(" 45", " 95") + counts))


def test_pdcif_uncertainties(same, profile):
    """su in parentheses count the last digits; weights are one over the square."""
    in_parentheses = [f"{y:.1f}({10 * round(np.sqrt(y)):d})" for y in profile.y]
    text = "data_p\n" + loop(
        ("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_intensity_total", in_parentheses)
    )
    np.testing.assert_allclose(same(text).sigma, np.round(np.sqrt(profile.y)))
    text = "data_p\n" + loop(
        ("_pd_proc_2theta_corrected", texts(profile.x)),
        ("_pd_proc_intensity_total", texts(profile.y)),
        ("_pd_proc_ls_weight", texts(1 / profile.y, "{:.9f}")),
    )
    np.testing.assert_allclose(same(text).sigma, np.sqrt(profile.y), rtol=1e-4)
    own = ("_pd_proc.intensity_total_su", texts(2 * np.sqrt(profile.y), "{:.5f}"))
    measured = ("_pd_proc.intensity_total", texts(profile.y, "{:.0f}"))
    text = loop(("_pd_proc.2theta_corrected", texts(profile.x)), measured, own)
    np.testing.assert_allclose(same("data_p\n" + text).sigma, 2 * np.sqrt(profile.y), atol=1e-4)


def test_pdcif_radiation(same, profile):
    body = loop(("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_counts_total", texts(profile.y)))
    lines = loop(
        ("_diffrn_radiation_wavelength_id", ["1", "2"]),
        ("_diffrn_radiation_wavelength", ["1.5405", "1.5443"]),
        ("_diffrn_radiation_wavelength_wt", ["1.0", "0.48"]),
    )
    found = same("data_p\n" + lines + body).radiation
    assert (found.wavelength, found.second, found.ratio) == (1.5405, 1.5443, 0.48)
    assert same("data_p\n_diffrn_radiation_type 'Cu K\\a'\n" + body).radiation.anode == "Cu"
    neutrons = "data_p\n_diffrn_radiation_probe neutron\n_diffrn_radiation_wavelength 1.5418\n" + body
    assert same(neutrons).radiation.second is None
    assert same("data_p\n" + body).radiation is None
    graphite = "data_p\n_diffrn_radiation_wavelength 1.5418\n_diffrn_radiation_monochromator graphite\n"
    assert same(graphite + body).monochromator == pytest.approx(26.6, abs=0.05)
    assert same("data_p\n_pd_instr_2theta_monochr_post 26.4\n" + body).monochromator == 26.4
    apart = "data_a\n_diffrn_radiation_wavelength 0.7\n\ndata_b\n" + body
    found = same(apart)
    assert found.radiation.wavelength == 0.7
    assert "the wavelength is that of block a" in found.notes


@pytest.mark.parametrize(
    ("lengths", "shares", "head", "taken", "ratio"),
    [
        (["1.5405", "1.5443", "1.3922"], ["1.0", "0.48", "0.1"], "", (1.5405, 1.5443), 0.48),
        (["1.3810", "1.3922", "1.5405", "1.5443"], None, "", (1.5405, 1.5443), 0.5),
        (["1.5", "0.75"], ["0.99", "0.01"], "_diffrn_radiation_probe neutron\n", (1.5,), 0),
        (["1.5", "1.51"], ["0.4", "0.6"], "_diffrn_radiation_probe neutron\n", (1.51,), 0),
        (["1.5", "0.75"], None, "", (), 0),
    ],
)
def test_pdcif_of_several_wavelengths(same, profile, lengths, shares, head, taken, ratio):
    """A doublet beside K-beta; of neutrons the wavelength that is not half of it; what was taken is said."""
    columns = [("_diffrn_radiation_wavelength", lengths)]
    columns += [("_diffrn_radiation_wavelength_wt", shares)] if shares else []
    body = loop(("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_counts_total", texts(profile.y)))
    found = same(f"data_p\n{head}{loop(*columns)}{body}")
    rays = found.radiation
    told = () if rays is None else (rays.wavelength, rays.second)[: 2 if rays.second else 1]
    assert told == taken
    assert rays is None or rays.ratio == pytest.approx(ratio)
    said = " and ".join(f"{x:g}" for x in taken) or "none"
    assert f"of {len(lengths)} wavelengths {said} {'were' if len(taken) > 1 else 'was'} taken" in found.notes


def test_pdcif_says_that_a_wavelength_was_not_taken(same, profile):
    body = loop(("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_counts_total", texts(profile.y)))
    found = same("data_p\n_diffrn_radiation_wavelength 71.07\n" + body)
    assert found.radiation is None
    assert any("the file's wavelength was not taken" in note for note in found.notes)


def test_pdcif_of_several_blocks(file, profile):
    body = loop(("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_counts_total", texts(profile.y)))
    structure = "data_s\n_cell_length_a 10.604\n_symmetry_space_group_name_H-M 'I a -3'\n"
    path = file(structure + "data_one\n" + body + "data_two\n" + body)
    found = read_measurements(path)
    assert [scan.name.removeprefix(str(path)) for scan in found] == [", block one", ", block two"]
    assert read_measurement(path, scan="two").name.endswith("block two")


def test_pdcif_points_that_are_left_out(file, profile):
    counts = texts(profile.y, "{:.0f}")
    counts[5] = "."
    text = "data_p\n" + loop(("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_counts_total", counts))
    found = read_measurement(file(text))
    np.testing.assert_array_equal(found.two_theta, np.delete(profile.x, 5))
    assert any(note.startswith("1 points that the CIF leaves out") for note in found.notes)
    counts[5] = "many"
    text = "data_p\n" + loop(("_pd_meas_2theta_scan", texts(profile.x)), ("_pd_meas_counts_total", counts))
    with pytest.raises(XtinctError, match="value 6, 'many', is no number"):
        read_measurement(file(text))


def test_pdcif_peaks(file):
    text = "data_p\n_diffrn_radiation_wavelength 1.5406\n" + loop(
        ("_pd_peak_id", ["1", "2", "3"]),
        ("_pd_peak_d_spacing", ["3.1356(2)", "1.9202(1)", "1.6375(1)"]),
        ("_pd_peak_intensity", ["100", "60", "30"]),
    )
    found = read_measurement(file(text))
    assert isinstance(found, PeakTable)
    np.testing.assert_allclose(found.d, [3.1356, 1.9202, 1.6375])
    np.testing.assert_allclose(found.d_error, [2e-4, 1e-4, 1e-4])
    assert found.two_theta[0] == pytest.approx(28.44, abs=0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data_s\n_cell_length_a 10.604\n", "without powder data"),
        (
            "data_p\nloop_\n_pd_meas_time_of_flight\n_pd_meas_counts_total\n8000 1\n8010 2\n8020 2\n",
            "time of flight",
        ),
        ("data_p\nloop_\n_pd_meas_counts_total\n1 2 3\n", "has no positions"),
        ("data_p\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n1 2 3\n", "no valid CIF"),
    ],
)
def test_cif_that_is_refused(file, text, words):
    with pytest.raises(XtinctError, match=words):
        read_measurement(file(text))


# --- An engine written independently -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.raw", lambda p: raw_3([(10.0, 0.02, p.y)])),
        ("a.raw", lambda p: raw_4([(10.0, 0.02, p.y)])),
        ("a.brml", lambda p: brml(route(p).replace("</DataRoute>", VIEWS + "</DataRoute>"))),
        ("a.ras", lambda p: ras(p) + "*RAS_DATA_END\n"),
        ("a.rasx", rasx),
        ("a.xrdml", lambda p: xrdml(xrdml_scan(p), DOUBLET)),
        ("a.gsa", lambda p: gsas(p, "STD")),
        ("a.gda", lambda p: gsas(p, "ESD")),
        ("a.fxye", lambda p: gsas(p, "FXYE")),
        (
            "a.cif",
            lambda p: (
                "data_p\n" + loop(("_pd_meas_2theta_scan", texts(p.x)), ("_pd_meas_counts_total", texts(p.y)))
            ),
        ),
    ],
)
def test_geddes_reads_the_same(file, profile, name, write):
    """The files of these tests are what others take for the format, and both readers find the same."""
    import geddes

    path = file(write(profile), name)
    found, other = read_measurement(path), geddes.read(str(path))
    np.testing.assert_allclose(found.two_theta, other.x, atol=1e-3)
    np.testing.assert_allclose(found.intensity, other.y, rtol=1e-6)


def test_jcamp_that_was_damaged_is_seen_by_its_check(file):
    """The first value of a row repeats the last of the row before."""
    head = JCAMP.format(factor=1.0).replace("1751", "6").replace("45.0", "10.1") + "##XYDATA=(X++(Y..Y))\n"
    good = read_measurement(file(head + "10.00B0JJ\n10.04B2JJJ\n##END=\n"))
    np.testing.assert_array_equal(good.intensity, [20, 21, 22, 23, 24, 25])
    with pytest.raises(XtinctError, match="Y-Check"):
        read_measurement(file(head + "10.00B0JJ\n10.04B7JJJ\n##END=\n"))


def test_one_of_several_lists_of_peaks_is_chosen_and_needs_no_uncertainty_everywhere(file):
    def block(name, spacings):
        rows = "".join(f"{d:.4f}{'(5)' if i else ''} 100\n" for i, d in enumerate(spacings))
        return f"data_{name}\nloop_\n_pd_peak_d_spacing\n_pd_peak_intensity\n{rows}"

    path = file(block("a", [3.1, 2.9, 1.9]) + block("b", [4.1, 2.5, 1.7]), "two.cif")
    with pytest.raises(XtinctError, match="holds 2 scans, choose one"):
        read_peaks(path)
    for scan in (2, "2", "block b"):
        found = read_peaks(path, scan=scan)
        np.testing.assert_allclose(found.d, [4.1, 2.5, 1.7])
        np.testing.assert_allclose(found.d_error, 5e-4)
        assert "1 uncertainties of positions were zero or missing: taken as the median" in found.notes


@pytest.mark.parametrize(
    ("tag", "what"), [("_pd_meas_counts_monitor", "monitor"), ("_pd_meas_step_count_time", "counting times")]
)
def test_counts_of_a_cif_for_varying_monitors_and_times(file, profile, tag, what):
    exposure = np.where(profile.x > 40, 4000, 1000)
    text = "data_a\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n" + tag + "\n"
    columns = (profile.x, profile.y * exposure / 1000, exposure)
    text += "".join(f"{x:.2f} {y:.0f} {t}\n" for x, y, t in zip(*columns, strict=True))
    found = read_measurement(file(text, "a.cif"))
    np.testing.assert_allclose(found.intensity, profile.y)
    np.testing.assert_allclose(found.sigma, np.sqrt(columns[1]) * 1000 / exposure)
    assert f"counts were divided by their {what} (1000 to 4000)" in found.notes
