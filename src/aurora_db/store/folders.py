"""Where a database may lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from aurora_db.base.errors import AuroraError, NotFound, ReadOnly

#: File systems of other machines.
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "fuse.sshfs", "glusterfs", "ceph", "lustre"})  # fmt: skip


def check(path: str, *, read_only: bool) -> None:
    """Refuse a path that no database can be kept at.

    Raises:
        NotFound, ReadOnly, AuroraError: the folder is absent, not writable, or of another machine.
    """
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise ReadOnly(
            f"'{path}' is a folder", hint="give the path of a file in it, such as 'shop.db'"
        )
    if not os.path.isdir(folder):
        raise NotFound(f"the folder '{folder}' does not exist", hint="make the folder first")
    if not read_only and not os.access(folder, os.W_OK):
        raise ReadOnly(
            f"the folder '{folder}' cannot be written",
            hint="SQLite keeps files beside the database; pick a folder that this user may write",
        )
    kind = _file_system(folder)
    if kind in _NETWORK:
        raise AuroraError(
            f"'{folder}' is on a network file system ({kind}), where locks do not hold",
            hint="put the file on a local disk",
        )


def _file_system(folder: str) -> str:
    """The kind of file system that `folder` is on; "" where the platform does not tell."""
    try:
        mounts = Path("/proc/mounts").read_text("utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in mounts:
        point, found = line.split(" ")[1:3]
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind
