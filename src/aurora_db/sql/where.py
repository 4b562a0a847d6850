"""Conditions → SQL. Two-valued: a comparison is true or false, `not` is its complement.

At places where only truth counts, SQL's unknown is as good as false and indexes stay usable;
under a `not` every comparison is closed by `IS TRUE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, assert_never, cast

from aurora_db.aql import plan
from aurora_db.aql.catalog import Type
from aurora_db.aql.operators import SIZE, TEXT_OPS, same, stored
from aurora_db.aql.types import JSON_KINDS
from aurora_db.aql.values import value_of
from aurora_db.base.codec import decode, encode
from aurora_db.sql import computed, expressions, forms, texts
from aurora_db.sql.statement import Bound, identifier, literal

Fragment = tuple[str, tuple[Any, ...]]
Form = Callable[[Any], Any]

_SYMBOLS = {"eq": "IS", "ne": "IS NOT", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

#: The given value as a row of `json_each`.
_WANT = ("_want.type", "_want.value")

#: Terms of `and` and `or` that stand beside each other.
FLAT: Final = 32

#: Operators that only our own connections can say.
REGISTERED: Final = frozenset({"ieq", "icontains", "istartsWith", "iendsWith", "matches"})


def where(condition: plan.Where, *, row: str = "", trigger: bool = False) -> Fragment:
    """The condition as SQL and its parameters.

    `row` is the table and a dot. In a trigger there are no parameters: constants become literals, fields are those of the new
    row, and of the old one where the path says so.
    """
    return _Lowering(None if trigger else row, trigger=trigger).where(condition, negated=False)


def has_variable(condition: plan.Where) -> bool:
    """Whether a condition takes its shape from a variable, so that it is known at execution.

    A whole where-object does, and an equality over a relation, where null needs another statement.
    """
    match condition:
        case plan.WhereVariable():
            return True
        case plan.And(parts=parts) | plan.Or(parts=parts):
            return any(has_variable(part) for part in parts)
        case plan.Not(part=part):
            return has_variable(part)
        case plan.Quantified(where=inner):
            return has_variable(inner)
        case plan.Compare():
            return is_late(condition)
        case _:
            assert_never(condition)


def is_late(condition: plan.Compare) -> bool:
    """Whether the value may be null, and the statement for values that are not is the better one."""
    if isinstance(condition.path, plan.Call) or not condition.path.hops:
        return False
    value = condition.value
    if isinstance(value, plan.Constant) or _is_given(value):
        return False
    return condition.op in ("eq", "ne", "in", "isNull")


def _is_given(value: plan.Value) -> bool:
    """Whether a variable is known not to be null, nor to hold null in a list."""
    return isinstance(value, plan.Variable) and value.type is not None and value.type.required


def needs_worker(condition: plan.Where) -> bool:
    """Whether a condition cannot be pure SQL in a trigger: it needs our functions or other documents."""
    match condition:
        case plan.WhereVariable():
            return True
        case plan.And(parts=parts) | plan.Or(parts=parts):
            return any(needs_worker(part) for part in parts)
        case plan.Not(part=part):
            return needs_worker(part)
        case plan.Quantified(over=over, where=inner):
            return isinstance(over, plan.Link) or bool(over.hops) or needs_worker(inner)
        case plan.Compare(path=path, op=op):
            if isinstance(path, plan.Path):
                return op in REGISTERED or bool(path.hops)
            return op in REGISTERED or _calls_ours(path)
        case _:
            assert_never(condition)


def _calls_ours(call: plan.Call) -> bool:
    """Whether the comparison of a computed value needs functions of ours, or other documents."""
    if call.function == SIZE:
        of = call.arguments[0]
        return not isinstance(of, plan.Path) or bool(of.hops)
    return call.type is None or not computed.is_pure(call)


class _Lowering:
    """Lowers conditions on one row; `row` is None for the rows of a trigger."""

    def __init__(self, row: str | None, *, trigger: bool, depth: int = 0) -> None:
        self._trigger = trigger
        self._table = row
        self._depth = depth

    def where(self, condition: plan.Where, *, negated: bool) -> Fragment:
        match condition:
            case plan.And(parts=parts):
                return self._junction(parts, " AND ", "1", negated=negated)
            case plan.Or(parts=parts):
                return self._junction(parts, " OR ", "0", negated=negated)
            case plan.Not(part=part):
                text, params = self.where(part, negated=True)
                return f"NOT ({text})", params
            case plan.Compare():
                text, params = self._compare(condition)
                return (f"(({text}) IS TRUE)" if negated else text), params
            case plan.Quantified():
                text, params = self._quantified(condition)
                return (f"(({text}) IS TRUE)" if negated else text), params
            case plan.WhereVariable():
                raise AssertionError("a where variable is expanded before it is lowered")
            case _:
                assert_never(condition)

    def _junction(
        self, parts: tuple[plan.Where, ...], word: str, empty: str, *, negated: bool
    ) -> Fragment:
        if not parts:
            return empty, ()
        lowered = [self.where(part, negated=negated) for part in parts]
        if len(lowered) == 1:
            return lowered[0]
        joined = _joined([text for text, _ in lowered], word)
        return joined, tuple(p for _, params in lowered for p in params)

    # --- other documents and elements of lists ----------------------------------------------

    def _inside(self) -> tuple[str, _Lowering]:
        """The name of a row inside of this one, and what lowers conditions on it."""
        alias = f"_in{self._depth}"
        return alias, _Lowering(alias + ".", trigger=self._trigger, depth=self._depth + 1)

    def _quantified(self, condition: plan.Quantified) -> Fragment:
        word, over = condition.word, condition.over
        alias, inside = self._inside()
        part = condition.where
        if word == "every":
            part = plan.Not(part)
        text, params = inside.where(part, negated=False)
        if isinstance(over, plan.Path):
            items = expressions.items(over, self._row(over))
            objects = f"(SELECT CASE type WHEN 'object' THEN value END AS _extra FROM {items})"
            found = f"EXISTS (SELECT 1 FROM {objects} AS {alias} WHERE {text})"
        else:
            source = f"{identifier(over.collection.name)} AS {alias}"
            local = expressions.value(over.local, self._row(over.local))
            foreign = expressions.value(over.foreign, alias + ".")
            if word == "some" and is_led(part):
                return f"{local} IN (SELECT {foreign} FROM {source} WHERE {text})", params
            found = f"EXISTS (SELECT 1 FROM {source} WHERE {foreign} = {local} AND {text})"
        return (found if word == "some" else f"NOT {found}"), params

    def _over(self, condition: plan.Compare, path: plan.Path) -> Fragment | None:
        """A comparison with a value of a related document that is never true without one.

        None where it may be true of null. An index of the related document can lead the way.
        """
        if condition.op == "ne":
            same = self._over(plan.Compare(path, "eq", condition.value), path)
            return None if same is None else (f"NOT (({same[0]}) IS TRUE)", same[1])
        if condition.op == "isNull" and condition.value == plan.Constant(True):
            given = self._over(plan.Compare(path, "isNull", plan.Constant(False)), path)
            return None if given is None else (f"NOT (({given[0]}) IS TRUE)", given[1])
        if not _refuses_null(condition):
            return None
        hop = path.hops[0]
        rest = plan.Path(path.field, path.keys, path.type, hops=path.hops[1:])
        alias, inside = self._inside()
        text, params = inside._compare(plan.Compare(rest, condition.op, condition.value))
        source = f"{identifier(hop.collection.name)} AS {alias}"
        key = f"{alias}.{identifier(hop.key.name)}"
        field = self._row(path) + identifier(hop.field.name)
        if is_led(condition):
            return f"{field} IN (SELECT {key} FROM {source} WHERE {text})", params
        return f"EXISTS (SELECT 1 FROM {source} WHERE {key} = {field} AND {text})", params

    # --- one comparison ---------------------------------------------------------------------

    def _row(self, path: plan.Path) -> str:
        if self._table is not None:
            return self._table
        return "OLD." if path.row == "old" else "NEW."

    def _given(self, condition: plan.Compare, form: Form) -> Fragment:
        """The right side, in a form: a parameter, a bound one, or a literal in a trigger."""
        value = condition.value
        if isinstance(value, plan.Constant):
            known = form(value.value)
            return (literal(known), ()) if self._trigger else ("?", (known,))
        path, op, type = condition.path, condition.op, condition.path.type

        def read(variables: Mapping[str, Any]) -> Any:
            given = value_of(value, variables, variables)
            return form(given if same(type, op, given) else stored(path, op, given))

        return "?", (Bound(read),)

    def _compare(self, condition: plan.Compare) -> Fragment:
        path = condition.path
        if isinstance(path, plan.Call):
            if path.function != SIZE:
                return self._computed(condition, path)
            of = cast("plan.Path", path.arguments[0])
            return self._plain(condition, expressions.size(of, self._row(of)))
        if path.hops:
            text = self._over(condition, path)
            if text is not None:
                return text
        if path.type is None or path.type.name in JSON_KINDS:
            return self._json(condition, path)
        return self._plain(condition, expressions.value(path, self._row(path)))

    def _computed(self, condition: plan.Compare, call: plan.Call) -> Fragment:
        left = computed.value(call, self._table, trigger=self._trigger)
        if left.form == "b" and condition.op == "eq" and condition.value == plan.Constant(True):
            return left.text, left.params
        if left.form != "j":
            return computed.spliced(self._plain(condition, computed.PLACE), left)
        if condition.op == "isNull":
            return computed.spliced(self._is_null(condition, computed.PLACE), forms.is_null(left))
        right, params = self._given(condition, encode)
        text = f"aurora_compare({literal(condition.op)}, 'j', {left.text}, {right})"
        return text, left.params + params

    def _plain(self, condition: plan.Compare, left: str) -> Fragment:
        match condition.op:
            case "isNull":
                return self._is_null(condition, f"{left} IS NULL")
            case "in":
                return self._in(condition, left)
            case "between":
                low, first = self._given(condition, _first)
                high, second = self._given(condition, _second)
                return f"{left} BETWEEN {low} AND {high}", first + second
            case op if op in TEXT_OPS or op == "contains":
                return self._text(condition, left)
            case op:
                right, params = self._given(condition, _same)
                return f"{left} {_SYMBOLS[op]} {right}", params

    def _is_null(self, condition: plan.Compare, text: str) -> Fragment:
        if isinstance(condition.value, plan.Constant):
            return (text if condition.value.value else f"NOT ({text})"), ()
        right, params = self._given(condition, int)
        return f"({text}) = {right}", params

    def _text(self, condition: plan.Compare, left: str) -> Fragment:
        return texts.compare(condition, left, lambda form: self._given(condition, form))

    def _in(self, condition: plan.Compare, left: str) -> Fragment:
        right, params = self._given(condition, encode)
        listed = f"{left} IN (SELECT value FROM json_each({right}))"
        if _is_without_null(condition.value):
            return listed, params
        null = f"{left} IS NULL AND EXISTS (SELECT 1 FROM json_each({right}) WHERE value IS NULL)"
        return f"({listed} OR ({null}))", params + params

    # --- on JSON: undeclared fields, lists, objects -----------------------------------------

    def _json(self, condition: plan.Compare, path: plan.Path) -> Fragment:
        op = condition.op
        found = expressions.as_value(path, self._row(path))
        kinds = _kinds(condition)
        if kinds is not None:
            right, params = self._given(condition, _plain)
            symbol = "IS" if op == "ne" else _SYMBOLS[op]
            text = f"(coalesce({found[0]}, 'null') IN {kinds} AND {found[1]} {symbol} {right})"
            return (f"NOT {text}" if op == "ne" else text), params
        match op:
            case "isNull":
                return self._is_null(condition, f"coalesce({found[0]}, 'null') = 'null'")
            case "eq" | "in":
                return self._wanted(condition, expressions.equal(found, _WANT))
            case "ne":
                text, params = self._wanted(condition, expressions.equal(found, _WANT))
                return f"NOT {text}", params
            case "contains" | "containsAny" | "containsAll":
                return self._contains(condition, path, found)
            case "between":
                low, first = self._wanted(condition, _ordered(found, "gte"), _first)
                high, second = self._wanted(condition, _ordered(found, "lte"), _second)
                return f"({low} AND {high})", first + second
            case _ if op in TEXT_OPS:
                text, params = self._text(condition, found[1])
                return f"({found[0]} = 'text' AND {text})", params
            case _:
                return self._wanted(condition, _ordered(found, op))

    def _contains(
        self, condition: plan.Compare, path: plan.Path, found: expressions.Json
    ) -> Fragment:
        row = self._row(path)
        item = None if path.type is None else path.type.item
        plain = item is not None and item.name not in JSON_KINDS
        if condition.op == "contains":
            if not plain:
                return self._wanted(condition, _holds(found, expressions.elements(path, row)))
            if item is not None and item.name != "Float":
                right, params = self._given(condition, _decoded)
                items = expressions.items(path, row)
                return (
                    f"EXISTS (SELECT 1 FROM {items} AS _each WHERE _each.atom IS {right})",
                    params,
                )
        same = (
            "_each.atom IS _want.atom"
            if plain
            else expressions.equal(("_each.type", "_each.value"), _WANT)
        )
        each = f"SELECT 1 FROM {expressions.items(path, row)} AS _each WHERE {same}"
        if condition.op != "containsAll":
            return self._wanted(condition, f"EXISTS ({each})")
        text, params = self._wanted(condition, f"NOT EXISTS ({each})")
        return f"({found[0]} = 'array' AND NOT {text})", params

    def _wanted(self, condition: plan.Compare, test: str, pick: Form | None = None) -> Fragment:
        """Whether one of the given values passes a test of `_want`, whatever type it has."""
        path = condition.path
        # The values of an undeclared field come as they are, those of a declared one as JSON.
        text = encode if path.type is None else _json_text
        several = condition.op in ("in", "containsAny", "containsAll")

        def listed(value: Any) -> str:
            values = value if several else [value if pick is None else pick(value)]
            return "[" + ",".join([text(one) for one in values]) + "]"

        right, params = self._given(condition, listed)
        return f"EXISTS (SELECT 1 FROM json_each({right}) AS _want WHERE {test})", params


def _joined(texts: Sequence[str], word: str) -> str:
    """Terms between parentheses, nested where they are many: a statement is at most 1,000 deep."""
    if len(texts) <= FLAT:
        return "(" + word.join(texts) + ")"
    step = -(-len(texts) // FLAT)
    groups = [_joined(texts[n : n + step], word) for n in range(0, len(texts), step)]
    return "(" + word.join(groups) + ")"


def _is_without_null(listed: plan.Value) -> bool:
    """Whether no element of a list can be null."""
    match listed:
        case plan.Constant(value=value):
            return None not in value
        case plan.Variable(type=Type(item=Type(required=True))):
            return True
        case _:
            return False


def is_led(condition: plan.Where) -> bool:
    """Whether an index of the documents of a condition leads to few of them."""
    match condition:
        case plan.And(parts=parts):
            return any(is_led(part) for part in parts)
        case plan.Compare(path=plan.Path(field=field, keys=()), op=op):
            known = field is not None and (field.indexed or field.unique or field.name == "id")
            return known and op in ("eq", "in")
        case plan.Quantified(word="some", over=plan.Link(), where=inner):
            return is_led(inner)
        case _:
            return False


def _refuses_null(condition: plan.Compare) -> bool:
    """Whether a comparison is never true of null."""
    value = condition.value
    match condition.op:
        case "eq" | "in" if _is_given(value):
            return True
        case "eq":
            return isinstance(value, plan.Constant) and value.value is not None
        case "in":
            return isinstance(value, plan.Constant) and None not in value.value
        case "isNull":
            return value == plan.Constant(False)
        case _:
            return True


def _ordered(found: expressions.Json, op: str) -> str:
    same = f"{expressions.kind(found[0])} = {expressions.kind(_WANT[0])}"
    return (
        f"{_WANT[0]} NOT IN ('object', 'array') AND {same} AND {found[1]} {_SYMBOLS[op]} {_WANT[1]}"
    )


def _holds(found: expressions.Json, each: str) -> str:
    """`contains`: a part of a text, an element of a list, some keys and values of an object."""
    inside = expressions.equal(("_each.type", "_each.value"), _WANT)
    same = expressions.equal(("_each.type", "_each.value"), ("_key.type", "_key.value"))
    missing = f"NOT EXISTS (SELECT 1 FROM {each} AS _each WHERE _each.key = _key.key AND {same})"
    return (
        f"CASE {found[0]} WHEN 'text' THEN _want.type = 'text' AND instr({found[1]}, _want.value) > 0 "
        f"WHEN 'array' THEN EXISTS (SELECT 1 FROM {each} AS _each WHERE {inside}) "
        "WHEN 'object' THEN CASE _want.type WHEN 'object' THEN "
        f"NOT EXISTS (SELECT 1 FROM json_each(_want.value) AS _key WHERE {missing}) ELSE 0 END "
        "ELSE 0 END"
    )


def _kinds(condition: plan.Compare) -> str | None:
    """The JSON types that one known scalar can be compared with; None where it is not that easy."""
    if condition.path.type is not None or condition.op not in _SYMBOLS:
        return None
    match condition.value:
        case plan.Constant(value=bool()):
            return "('true', 'false')"
        case plan.Constant(value=int() | float()):
            return "('integer', 'real')"
        case plan.Constant(value=str()):
            return "('text')"
        case _:
            return None


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _decoded(value: Any) -> Any:
    return None if value is None else _plain(decode(value))


def _same(value: Any) -> Any:
    return value


def _first(value: Any) -> Any:
    return value[0]


def _second(value: Any) -> Any:
    return value[1]


def _json_text(value: Any) -> str:
    return "null" if value is None else value


__all__ = ["Fragment", "has_variable", "is_late", "is_led", "needs_worker", "stored", "where"]
