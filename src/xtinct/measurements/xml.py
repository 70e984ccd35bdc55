"""XML inside measurements: parsed without entities, tags without their namespaces."""

import io
import zipfile
from xml.etree import ElementTree

from xtinct.errors import XtinctError
from xtinct.measurements.decoding import LARGEST


def root_of(content: bytes | str) -> ElementTree.Element:
    """Root of an XML document, namespaces taken off; XtinctError if it is damaged or declares entities."""
    head = content[:4096] if isinstance(content, str) else content[:4096].decode("latin-1")
    if "<!DOCTYPE" in head or "<!ENTITY" in head:
        raise XtinctError("an XML document with a DTD, which no diffractometer writes; not read")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise XtinctError(f"damaged XML ({error}); write the file anew") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in [key for key in element.attrib if "}" in key]:
            element.attrib[key.rpartition("}")[2]] = element.attrib.pop(key)
    return root


def text_of(element: ElementTree.Element | None, path: str) -> str | None:
    """Text, or attribute Value, of the first element at a path; None if there is none."""
    found = None if element is None else element.find(path)
    if found is None:
        return None
    text = (found.text or "").strip() or (found.get("Value") or "").strip()
    return text or None


def number_of(element: ElementTree.Element | None, path: str) -> float | None:
    """Number at a path, None if there is none."""
    text = text_of(element, path)
    try:
        return None if text is None else float(text.replace(",", "."))
    except ValueError:
        return None


def archive_of(data: bytes) -> zipfile.ZipFile:
    """A zip archive of a diffractometer; XtinctError if it is damaged or unpacks to too much."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        size = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise XtinctError(f"a damaged zip archive ({error}); fetch the file anew") from None
    if size > LARGEST:
        raise XtinctError(
            f"a zip archive that unpacks to {size / 2**20:.0f} MiB, which no powder pattern has"
        )
    return archive


def member_of(archive: zipfile.ZipFile, name: str) -> bytes:
    """Bytes of one file of an archive; XtinctError naming it if it is damaged or locked."""
    try:
        with archive.open(name) as stream:
            content = stream.read(LARGEST + 1)
    except (
        zipfile.BadZipFile,
        RuntimeError,
        KeyError,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
    ) as error:
        raise XtinctError(f"{name} in the archive is damaged ({error}); fetch the file anew") from None
    except Exception as error:  # zlib.error, lzma.LZMAError: a damaged stream has many names
        raise XtinctError(f"{name} in the archive is damaged ({error}); fetch the file anew") from None
    if len(content) > LARGEST:
        raise XtinctError(f"{name} in the archive is larger than {LARGEST // 2**20} MiB")
    return content
