"""A snapshot of the code as one zip, to be laid out where the folder that it was taken from is not to be seen."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import ProvenanceError
from sweeper.provenance.rebuild import rebuild
from sweeper.provenance.store import Store

_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's own


def packed(document: Mapping[str, Any], store: Store, folder: str) -> bytes:
    """The code that `document` describes, below `folder` in the zip: the same bytes for the same code.

    Raises ProvenanceError where the store does not have all of it.
    """
    if document["kind"] == "git" and document["tree"] is None:
        why = next((left["why"] for left in document["left_out"] if left["path"] == "."), "they were not kept")
        raise ProvenanceError(f"the code cannot be sent to nodes that do not see it: {why}; put it where all see it")
    with tempfile.TemporaryDirectory(prefix="sweeper-code-") as place:
        root = Path(place)
        rebuild(document, store, root)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(zipfile.ZipInfo(f"{folder}/", _EPOCH), b"")  # there is a folder, even without a file
            for path in sorted(root.rglob("*")):
                if path.is_file():
                    _add(archive, path, f"{folder}/{path.relative_to(root).as_posix()}")
    return content.getvalue()


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (path.stat().st_mode & 0o777) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, path.read_bytes(), compresslevel=1)
