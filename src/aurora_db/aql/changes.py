"""What an update changes: a mapping of Python values and operators → resolved changes. Pure.

Texts, variables and Python's own mappings all end here, so an operator means the same everywhere.

An object with exactly one key that is an operator is an operator on Int, Float and list fields. On
Object, JSON, inline objects and undeclared fields only `set`, `unset`, `setOnInsert` and `expr` are,
so that a document may hold `{"min": 1}`; an inline object's own field of such a name wins.

What SQL cannot check of a result is checked of the operand: the type and the rules of each element
of a list, and patterns. The rest are constraints of the table, which hold for results.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from aurora_db.aql import checks, plan, specials, suggest, syntax, types
from aurora_db.aql.catalog import Catalog, Collection, Field, Type
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.validation import shown
from aurora_db.aql.values import Scope, syntax_of
from aurora_db.base.codec import encode
from aurora_db.base.errors import (
    DuplicateArgument,
    TypeMismatch,
    UnknownField,
    UnknownOperator,
    ValidationError,
)

NUMBER: Final = ("increment", "decrement", "multiply", "min", "max")
LIST: Final = ("push", "pushAll", "pull", "addToSet", "removeAt")
ALWAYS: Final = ("set", "unset", "setOnInsert", "expr")
OPERATORS: Final = frozenset((*NUMBER, *LIST, *ALWAYS))
#: Types whose values may be objects, so that an object is a value there.
HOLDS_OBJECTS: Final = frozenset({"JSON", "Object", "Any", "Inline"})


#: Stands for the present where a text is only checked.
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Collections, and names in each, whose paths are kept.
KEPT: Final = 1_000
_paths: dict[int, tuple[Collection, dict[str, plan.Path]]] = {}


class Change(msgspec.Struct, frozen=True):
    """One change of one stored value.

    `value` is what the column holds where a whole declared field is set, the expression of
    `expr`, else a plain JSON value. `given` is the operand as it came. `begun` are the JSON texts that the
    objects on the way begin with where there are none yet, the outermost first.
    """

    path: plan.Path
    op: str
    value: Any = None
    given: Any = None
    begun: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """The column that changes."""
        return "_extra" if self.path.field is None else self.path.field.name

    @property
    def whole(self) -> bool:
        """Whether the column itself changes, not a place in its JSON."""
        return not self.path.keys


def resolve_changes(
    collection: Collection,
    data: Mapping[str, Any],
    now: dt.datetime,
    catalog: Catalog | None = None,
) -> tuple[Change, ...]:
    """The changes that `data` means, in its order.

    Args:
        collection: whose documents change.
        data: values, operators and paths.
        now: what the word "now" stands for in defaults.
        catalog: what relations in expressions lead to.

    Raises:
        UnknownField, UnknownOperator, TypeMismatch, ValidationError: a value is refused.
        DuplicateArgument: two of them change one value.
    """
    if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise types.mismatch(f"the changes of '{collection.name}'", "Object", data)
    changes = tuple(
        [change_of(collection, name, value, now, catalog) for name, value in data.items()]
    )
    _refuse_overlap(changes)
    return changes


def stamped(
    collection: Collection, changes: Sequence[Change], now: dt.datetime
) -> tuple[Change, ...]:
    """The changes and those of fields with `@updated`, where the write says nothing of them."""
    named = {change.column for change in changes}
    fields = [one for one in collection.fields if one.updated and one.name not in named]
    present = [
        Change(plan.Path(one, (), one.type), "set", checks.present(one, now)) for one in fields
    ]
    return (*changes, *present)


def change_of(
    collection: Collection,
    name: str,
    value: Any,
    now: dt.datetime = EPOCH,
    catalog: Catalog | None = None,
) -> Change:
    """One entry of `data`; errors as of `resolve_changes`."""
    path = path_of(collection, name)
    op, operand = operation(path, value)
    if op == "expr":
        prepared: Any = _expression(collection, path, operand, catalog)
    else:
        prepared = _prepared(path, op, operand, now)
    return Change(path, op, prepared, operand, _begun_with(path, now))


def _begun_with(path: plan.Path, now: dt.datetime) -> tuple[str, ...]:
    """What the objects on the way of a path begin with: the defaults of their declared fields."""
    if not path.keys:
        return ()
    texts: list[str] = []
    type = None if path.field is None else path.field.type
    for key in path.keys:
        fields = type.fields if type is not None and type.name == "Inline" else ()
        texts.append(encode({one.name: _default(one, now) for one in fields if one.has_default}))
        type = next((one.type for one in fields if one.name == key), None)
    return tuple(texts)


def _default(field: Field, now: dt.datetime) -> Any:
    if specials.is_special(field.type, field.default):
        return checks.special_default(field, now)
    return types.deep(field.type, _filled(field.type, field.default, now), field.name)


def _filled(type: Type | None, value: Any, now: dt.datetime) -> Any:
    """A value with the defaults "now" and "uuid" of the objects in it."""
    if value is None or type is None or not specials.has_special(type):
        return value
    return specials.filled(type, value, lambda field: checks.special_default(field, now))


def path_of(collection: Collection, name: str) -> plan.Path:
    """The stored value that a name or a dotted path of `data` means.

    Raises:
        UnknownField: there is none, or it is not for writing.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeMismatch(f"the name of a field is a String, got {name!r}")
    # Hashing a collection walks all its fields; its identity is known at once.
    kept = _paths.get(id(collection))
    if kept is None or kept[0] is not collection:
        if len(_paths) > KEPT:
            _paths.clear()
        kept = _paths[id(collection)] = (collection, {})
    known = kept[1].get(name)
    if known is None:
        known = _found(collection, name)
        if len(kept[1]) < KEPT:
            kept[1][name] = known
    return known


def _found(collection: Collection, name: str) -> plan.Path:
    if name.startswith("_") and name != "_sid":
        known = [field.name for field in collection.fields]
        raise UnknownField(
            f"no field named '{name}' in collection '{collection.name}'",
            hint=suggest.hint(
                name, known, "names with a leading underscore are the database's own"
            ),
        )
    path = Conditions(collection, Scope("", {})).path(name, syntax.Name(name))
    if path.hops:
        raise TypeMismatch(
            f"'{name}' leads into another document", hint="update that document by its own id"
        )
    if path.field is not None and path.field.computed is not None:
        raise ValidationError(
            f"field '{path.field.name}' is computed", field=path.field.name, rule="computed",
            hint="change the fields that it is computed from",
        )  # fmt: skip
    return path


def written(path: plan.Path) -> str:
    """The path as it is written."""
    first = () if path.field is None else (path.field.name,)
    return ".".join((*first, *path.keys))


# --- operators ------------------------------------------------------------------------------


def operation(path: plan.Path, value: Any) -> tuple[str, Any]:
    """The operator that a value of `data` is, and its operand; a plain value is `set`.

    Raises:
        UnknownOperator: the type has no such operator.
        TypeMismatch: several operators in one object.
    """
    if isinstance(value, plan.Computation):
        return "expr", value
    if not isinstance(value, Mapping):
        return "set", value
    given = cast("Mapping[str, Any]", value)
    word = next(iter(given), "")
    if path.type is None or path.type.name in HOLDS_OBJECTS:
        own = path.type is not None and any(field.name == word for field in path.type.fields)
        if len(given) == 1 and word in ALWAYS and not own:
            return word, given[word]
        return "set", value
    known = _applicable(path.type)
    if len(given) == 1 and word in known:
        return word, given[word]
    if len(given) > 1 and OPERATORS.intersection(given):
        raise TypeMismatch(
            f"'{written(path)}' has several operators in one object",
            hint="one operator for each field; write expr for more",
        )
    if len(given) == 1:
        raise UnknownOperator(
            f"no operator named '{word}' for {types.type_name(path.type)} '{written(path)}'",
            hint=suggest.hint(str(word), known, f"its operators are {', '.join(known)}"),
        )
    return "set", value


def _applicable(type: Type) -> tuple[str, ...]:
    match type.name:
        case "Int" | "Float":
            return (*NUMBER, *ALWAYS)
        case "List":
            return (*LIST, *ALWAYS)
        case _:
            return ALWAYS


def _prepared(path: plan.Path, op: str, operand: Any, now: dt.datetime) -> Any:
    where = f"field '{written(path)}'"
    if op != "setOnInsert":
        _refuse_id(path)
    match op:
        case "set" | "setOnInsert":
            return _set(path, operand, where, now)
        case "unset":
            return _unset(path, operand, where)
        case "removeAt":
            return types.store(_INT, _some(operand, op, where), f"'{op}' of {where}")
        case "push" | "addToSet" | "pull":
            return _elements(path, op, [operand], where, now)[0]
        case "pushAll":
            if not isinstance(operand, (list, tuple)):
                raise types.mismatch(f"'{op}' of {where}", "list", operand)
            return _elements(path, op, cast("Sequence[Any]", operand), where, now)
        case _:
            given = _some(operand, op, where)
            return types.store(cast("Type", path.type), given, f"'{op}' of {where}")


def _refuse_id(path: plan.Path) -> None:
    if path.field is not None and path.field.name == "id":
        raise ValidationError(
            "field 'id' is never changed",
            hint="insert another document",
            field="id",
            rule="immutable",
        )


_INT: Final = Type(name="Int")


def _some(operand: Any, op: str, where: str) -> Any:
    if operand is None:
        raise TypeMismatch(f"'{op}' of {where} needs a value, got null")
    return operand


def _set(path: plan.Path, value: Any, where: str, now: dt.datetime) -> Any:
    leaf = leaf_of(path)
    if value is None:
        if leaf is not None and leaf.required and leaf.name != "id":
            raise ValidationError(f"{where} is required", field=written(path), rule="required")
        return None
    if path.type is None:
        return value
    if not path.keys and path.field is not None:
        return checks.column_value(path.field, value, now)
    checked = types.deep(path.type, _filled(path.type, value, now), where)
    if leaf is not None and leaf.validate is not None:
        types.validate(leaf, written(path), checked)
    return checked


def _unset(path: plan.Path, operand: Any, where: str) -> None:
    if operand is not True:
        raise TypeMismatch(
            f"'unset' of {where} is true, got {shown(operand)}", hint="write {unset: true}"
        )
    leaf = leaf_of(path)
    if leaf is not None and leaf.required:
        raise ValidationError(f"{where} is required", field=written(path), rule="required")


def _expression(
    collection: Collection, path: plan.Path, operand: Any, catalog: Catalog | None
) -> plan.Expression:
    _refuse_id(path)
    if isinstance(operand, plan.Computation):
        return operand.expression
    scope = Scope("", {}, catalog=catalog)
    return computation(scope, collection, path, syntax_of(operand)).expression


def computation(
    scope: Scope, collection: Collection, path: plan.Path, value: syntax.Value
) -> plan.Computation:
    """What stands in `{expr: …}`, or `expr("…")`, as the value of a path.

    Raises:
        AqlError: it is no expression, or has another type than the path.
    """
    leaf = leaf_of(path)
    if leaf is not None:
        leaf = msgspec.structs.replace(leaf, name=written(path))
    return Conditions(collection, scope).expressions().update_value(value, leaf)


def _elements(
    path: plan.Path, op: str, values: Sequence[Any], where: str, now: dt.datetime
) -> list[Any]:
    type = cast("Type", path.type)
    if op == "pull" and type.item is not None and type.item.required:
        # Taking away what cannot be there changes nothing.
        type = msgspec.structs.replace(
            type, item=msgspec.structs.replace(type.item, required=False)
        )
    checked = types.deep(type, _filled(type, list(values), now), f"'{op}' of {where}")
    leaf = leaf_of(path)
    if op != "pull" and leaf is not None and leaf.validate is not None:
        rules = msgspec.structs.replace(leaf.validate, min_items=None, max_items=None)
        types.validate(msgspec.structs.replace(leaf, validate=rules), written(path), checked)
    return checked


def leaf_of(path: plan.Path) -> Field | None:
    """The declared field at the end of a path; None where nothing is declared."""
    field = path.field
    for key in path.keys:
        if field is None or field.type.name != "Inline":
            return None
        field = next((one for one in field.type.fields if one.name == key), None)
    return field


def _refuse_overlap(changes: Sequence[Change]) -> None:
    for n, one in enumerate(changes):
        for other in changes[:n]:
            shared = min(len(one.path.keys), len(other.path.keys))
            if one.column == other.column and one.path.keys[:shared] == other.path.keys[:shared]:
                raise DuplicateArgument(
                    f"'{written(other.path)}' and '{written(one.path)}' change the same value",
                    hint="change it once",
                )
