"""Archives that are the same bytes each time: files in order, owned by root, with the time of the commit."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def pack(files: dict[str, Path], output: Path, time: int, prefix: str) -> dict[str, bytes]:
    """A tar.gz of the files by their names in it, in the order given. What is executable stays so. The contents."""
    contents = {}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path in files.items():
            contents[name] = path.read_bytes()
            entry = tarfile.TarInfo(f"{prefix}/{name}")
            entry.size, entry.mtime = len(contents[name]), time
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(contents[name]))
    compress(buffer.getvalue(), output)
    return contents


def pack_chart(files: list[Path], output: Path, time: int) -> dict[str, bytes]:
    """As `helm package` packs it: in a folder of the chart's name, Chart.yaml first."""
    (description,) = [path for path in files if path.name == "Chart.yaml"]
    ordered = [description, *sorted(path for path in files if path != description)]
    return pack({str(path.relative_to(description.parent)): path for path in ordered}, output, time, description.parent.name)


def compress(data: bytes, output: Path) -> None:
    with output.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(data)
