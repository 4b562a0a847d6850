"""Collection: its blocking verbs.

Generated from aio_collection.py by tools/unasync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar, overload

from aurora_db.base.codec import convert
from aurora_db.base.errors import AuroraError, UniqueViolation
from aurora_db.store import documents, operations
from aurora_db.store.documents import Document, Target
from aurora_db.store.gate import Gate, HeldGate

R = TypeVar("R")


class Collection:
    """The documents of one collection; made by `db.collection(name)` or `db[name]`."""

    def __init__(self, gate: Gate | HeldGate, name: str, clock_now: Callable[[], datetime]) -> None:
        self._gate = gate
        self._now = clock_now
        self.name = name

    def insert(self, document: Mapping[str, Any]) -> str:
        """Insert one document; returns its id, made as a UUIDv7 when it has none.

        Raises:
            ValidationError, TypeMismatch, UnknownField: the document breaks the schema.
            UniqueViolation: another document has one of its unique values.
        """
        before = self._gate.catalog
        try:
            single = documents.insert_single(before, self.name, document, self._now())
        except AuroraError:
            # Another process may have defined what is refused here.
            self._gate.read(operations.look)
            if self._gate.catalog is before:
                raise
            single = documents.insert_single(self._gate.catalog, self.name, document, self._now())
        try:
            return self._gate.write(single)
        except UniqueViolation as error:
            documents.tell(error, single)
            raise

    def insert_many(
        self, items: Iterable[Mapping[str, Any]], *, on_conflict: str = "error"
    ) -> list[str]:
        """Insert all documents or none, in one transaction.

        Returns the ids of those that were written, in order.

        Args:
            items: the documents.
            on_conflict: where a document has the id or a unique value of another one: "error" refuses
                all, "skip" leaves it out, "replace" puts it in the place of the other one.
        """
        rows = list(items)
        return self._gate.write(
            lambda port: documents.insert_many(port, self.name, rows, on_conflict)
        )

    @overload
    def get(self, id: str, *, fresh: bool = False) -> Document | None: ...

    @overload
    def get(self, id: str, *, as_: type[R], fresh: bool = False) -> R | None: ...

    def get(self, id: str, *, as_: Any = None, fresh: bool = False) -> Any:
        """The document of this id with all its fields, or None.

        With `as_`, a dataclass, `msgspec.Struct` or TypedDict, it comes as a record of that type. It
        may come from memory, as it is; with `fresh` also what another program than Aurora has
        committed within the last `poll_interval` is seen.

        Raises:
            TypeMismatch: the document is no such record.
        """
        hot = self._gate.hot
        if hot is None:
            found = self._gate.read(
                lambda port: documents.get(port, self.name, id), bounded=True, single=True
            )
        elif (found := hot.document(self.name, id, fresh=fresh)) is None:
            found = self._gate.read(hot.reading(self.name, id), bounded=True, single=True)
        return found if found is None or as_ is None else convert(found, as_)

    def update(
        self,
        target: Target,
        changes: Mapping[str, Any],
        *,
        all: bool = False,
        if_rev: int | None = None,
    ) -> int:
        """Merge `changes` into the document of an id, or into all that match a where-object.

        Returns how many documents that were. A value may be an operator, `{"increment": 1}`, a key a
        path, `"address.city"`; all of it is one statement.

        Raises:
            MissingWhere: an empty where-object without `all=True`.
            Conflict: a document has another revision than `if_rev`; nothing was written.
        """
        from aurora_db.store import matching  # noqa: PLC0415 - who only inserts does without

        return self._gate.write(
            lambda port: matching.update(port, self.name, target, changes, all=all, if_rev=if_rev)
        )

    def upsert(self, where: Mapping[str, Any], document: Mapping[str, Any]) -> str:
        """Update the document that `where` names by its id or a unique key, or insert it; its id.

        An inserted document has the values of `where`, too; operators count from 0 and [].

        Raises:
            MissingWhere: `where` is not made of equalities on `id` or a unique key.
        """
        from aurora_db.store import upserts  # noqa: PLC0415 - as above

        return self._gate.write(lambda port: upserts.upsert(port, self.name, where, document))

    def delete(self, target: Target, *, all: bool = False, if_rev: int | None = None) -> int:
        """Remove the document of an id, or all that match a where-object; returns how many.

        Raises:
            MissingWhere: an empty where-object without `all=True`.
            Conflict: a document has another revision than `if_rev`; nothing was removed.
        """
        from aurora_db.store import matching  # noqa: PLC0415 - who only inserts does without

        return self._gate.write(
            lambda port: matching.delete(port, self.name, target, all=all, if_rev=if_rev)
        )

    def count(self, where: Mapping[str, Any] | None = None) -> int:
        """How many documents match a where-object; all without one."""
        from aurora_db.store import matching  # noqa: PLC0415 - who only inserts does without

        return self._gate.read(lambda port: matching.count(port, self.name, where), single=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
