"""Identity: UUIDv7 texts that ascend within a process.

Source: RFC 9562, section 5.7.
"""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A new UUIDv7, canonical lower case, greater than every one made before in this process."""
    return str(uuid_utils.uuid7())
