"""Events of subscriptions in CHANGES mode: objects of the keys that were selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aurora_db.aql import plan
from aurora_db.aql.catalog import Field
from aurora_db.aql.selections import everything
from aurora_db.live import listening, shaping

Image = Mapping[str, Any]
#: The position after the change of a number, as text.
Token = Callable[[int], str]


class Events:
    """Makes the events of one root.

    Args:
        subscription: in CHANGES mode.
        token: makes a position of a number.
    """

    def __init__(self, subscription: plan.Subscription, token: Token) -> None:
        self._keys = subscription.keys
        self.token = token
        self.collection = subscription.query.collection.name
        #: The selections of nodes, each once; without any, that of whole documents tells what differs.
        self.selections: list[tuple[plan.Selected, ...]] = []
        self._places: dict[str, int] = {}
        for one in self._keys:
            if one.word in ("node", "old"):
                # A constant may be a list, which has no hash.
                if one.outputs not in self.selections:
                    self.selections.append(one.outputs)
                self._places[one.key] = self.selections.index(one.outputs)
        if not self.selections:
            self.selections.append(everything(subscription.query.collection))

    def event(
        self,
        mutation: str,
        position: str | None,
        id: str | None = None,
        nodes: Sequence[Any] | None = None,
        olds: Sequence[Any] | None = None,
        changed: Sequence[str] = (),
    ) -> dict[str, Any]:
        """One event; `nodes` and `olds` hold the document as each of `selections` shows it."""
        said: dict[str, Any] = {}
        for one in self._keys:
            value: Any
            match one.word:
                case "mutation":
                    value = mutation
                case "id":
                    value = id
                case "node":
                    value = None if nodes is None else nodes[self._places[one.key]]
                case "old":
                    value = None if olds is None else olds[self._places[one.key]]
                case "changed":
                    value = list(changed)
                case "position":
                    value = position
                case _:
                    raise AssertionError(f"no key of an event: {one.word}")
            said[one.key] = value
        return said

    def differing(self, old: Sequence[Any], new: Sequence[Any]) -> tuple[str, ...]:
        """What differs in the document as it is shown: names of fields, or keys of what is no field."""
        names: dict[str, None] = {}
        for outputs, before, after in zip(self.selections, old, new, strict=True):
            known = {one.key: _name(one) for one in outputs}
            keys: dict[str, None] = dict.fromkeys((*after, *before))
            for key in keys:
                if before.get(key) != after.get(key):
                    names[known.get(key, key)] = None
        return tuple(names)


def _name(output: plan.Selected) -> str:
    """The field that an output shows; the key of what is made of several."""
    match output:
        case plan.Output(path=plan.Path(field=None, keys=keys)) if not output.extra:
            return keys[0]
        case plan.Output(path=plan.Path(field=Field(name=name))):
            return name
        case plan.One(hop=hop):
            return hop.field.name
        case _:
            return output.key


class Shaped:
    """Makes events of images, for queries that look into no other document.

    Args:
        events: those of the root.
        subscription: as the root has it.
        variables: checked.
        now: gives what `now()` means in what is shown.
    """

    def __init__(
        self,
        events: Events,
        subscription: plan.Subscription,
        variables: Mapping[str, Any],
        now: shaping.Present,
    ) -> None:
        self._events = events
        collection = subscription.query.collection
        self._shapes = [
            shaping.shape(outputs, collection, variables, now) for outputs in events.selections
        ]

    def __call__(
        self,
        mutation: str,
        id: str | None,
        new: Image | None,
        old: Image | None,
        seq: int | None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """The event of one change, or of what comes before changes: both images are None of READY and RESET.

        `seq` is the number of its position; None where it has none, for the snapshot is not whole yet.
        """
        del reason
        return self._events.event(
            mutation,
            None if seq is None else self._events.token(seq),
            id,
            self._shown(new),
            self._shown(old),
            listening.differing(old, new),
        )

    def _shown(self, image: Image | None) -> list[Any] | None:
        return None if image is None else [shape(image) for shape in self._shapes]
