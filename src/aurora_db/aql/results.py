"""What the parts of a mutation give, as far as it is known before they run: for `$alias.field`."""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.aql import plan, types

#: Keys and what is below them; None where that is not known before the part ran.
Shape = dict[str, "Shape | None"]


def shape_of(part: plan.Part) -> Shape | None:
    """The keys of a part's result, and those below each."""
    match part:
        case plan.Insert():
            return _outputs(part.outputs)
        case plan.EnqueueJob():
            shape = _outputs(part.outputs)
            return shape if shape is None else {**shape, **dict.fromkeys(part.conflicts, _LEAF)}
        case plan.Upsert():
            shape = _outputs(part.outputs)
            return shape if shape is None else {**shape, **dict.fromkeys(part.created, _LEAF)}
        case (
            plan.InsertMany()
            | plan.Update()
            | plan.Delete()
            | plan.Import()
            | plan.CancelJobs()
            | plan.RetryJobs()
        ):
            nodes = _outputs(part.result.nodes)
            return {key: nodes if what == "nodes" else _LEAF for key, what in part.result.keys}
        case plan.EnqueueJobs() | plan.Publish():
            return {key: _LEAF for key, _ in part.keys}
        case plan.Export():
            return {key: None if what == "data" else _LEAF for key, what in part.keys}
        case plan.Transaction():
            return {inner.key: shape_of(inner) for inner in part.parts}
        case _:
            return None


#: A value without keys.
_LEAF: Shape = {}


def _outputs(outputs: Sequence[plan.Selected]) -> Shape | None:
    shape: Shape = {}
    for output in outputs:
        if isinstance(output, plan.Output):
            if output.extra:
                return None
            shape[output.key] = _below(output)
        else:
            shape[output.key] = None
    return shape


def _below(output: plan.Output) -> Shape | None:
    if output.selection:
        return _outputs(output.selection)
    type = output.path.type
    return None if type is None or type.name in types.JSON_KINDS else _LEAF


def missing(shape: Shape | None, path: Sequence[str]) -> tuple[str, list[str]] | None:
    """The first step of `path` that a result cannot have, and what it has instead."""
    for step in path:
        if shape is None:
            return None
        if step not in shape:
            return step, list(shape)
        shape = shape[step]
    return None
