"""Whether pure SQL can say a condition or a value: only then may it stand in a trigger.

Another program that writes runs our triggers, and does not have the functions that our
connections register. What needs one is left to the worker, and so is what follows a relation: the
document at its other end is another one by the time that counts.
"""

from __future__ import annotations

from typing import Final, assert_never

from aurora_db.aql import plan

#: Operators that fold case as Unicode does, or search by a pattern.
REGISTERED: Final = frozenset({"ieq", "icontains", "istartsWith", "iendsWith", "matches"})


def needs_worker(condition: plan.Where) -> bool:
    """Whether a trigger cannot ask the condition."""
    match condition:
        case plan.And(parts=parts) | plan.Or(parts=parts):
            return any(needs_worker(part) for part in parts)
        case plan.Not(part=part):
            return needs_worker(part)
        case plan.Compare(path=path, op=op):
            return op in REGISTERED or expression_needs_worker(path)
        case plan.Quantified(over=over, where=where):
            return isinstance(over, plan.Link) or bool(over.hops) or needs_worker(where)
        case plan.WhereVariable():
            raise AssertionError("an event handler has no variables")
        case _:
            assert_never(condition)


def expression_needs_worker(expression: plan.Expression) -> bool:
    """Whether a trigger cannot compute the expression."""
    match expression:
        case plan.Path(hops=hops):
            return bool(hops)
        case plan.Call():
            return True
        case plan.Items(items=items):
            return any(expression_needs_worker(item) for item in items)
        case plan.Constant() | plan.Variable():
            return False
        case _:
            assert_never(expression)


def value_needs_worker(value: plan.HandlerValue) -> bool:
    """Whether a trigger cannot make the value."""
    match value:
        case plan.Constant():
            return False
        case plan.Path():
            return expression_needs_worker(value)
        case plan.Template(parts=parts):
            return any(not isinstance(one, str) and expression_needs_worker(one) for one in parts)
        case plan.HandlerList(items=items):
            return any(value_needs_worker(item) for item in items)
        case plan.HandlerObject(items=pairs):
            return any(value_needs_worker(one) for _, one in pairs)
        case _:
            assert_never(value)
