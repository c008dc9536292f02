"""Code for functions, as zip files."""

import io
import zipfile


def zipped(**files: str) -> bytes:
    """A zip file; ``app_py="..."`` is the file ``app.py``."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            stem, _, ending = name.rpartition("_")
            entry = zipfile.ZipInfo(f"{stem}.{ending}" if stem else ending)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
    return packed.getvalue()
