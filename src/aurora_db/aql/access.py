"""Who may run an operation: `@auth` and `@require` against the claims of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from aurora_db.base.errors import AccessDenied, Unauthenticated

if TYPE_CHECKING:
    from aurora_db.aql import plan


def check(needed: Iterable[plan.Access], auth: Mapping[str, Any] | None) -> None:
    """Refuse a caller who lacks what an operation demands.

    Args:
        needed: what the directives of the operation and of its fields say.
        auth: claims of the caller, with `role` a text or `roles` a list of texts; None where
            nobody is known.

    Raises:
        Unauthenticated: nobody is known.
        AccessDenied: the caller has another role.
    """
    for one in needed:
        if auth is None:
            raise Unauthenticated(
                "this is for authenticated callers only", hint="pass auth={…}, or send a token"
            )
        if one.role is not None and one.role not in _roles(auth):
            raise AccessDenied(f"this needs the role '{one.role}'")


def _roles(auth: Mapping[str, Any]) -> list[Any]:
    many = auth.get("roles")
    listed = list(cast("Iterable[Any]", many)) if isinstance(many, (list, tuple, set)) else []
    return [auth.get("role"), *listed]
