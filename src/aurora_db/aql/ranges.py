"""Ranges of values, and which of them hold a value: a tree that is cheap to change.

A *cut* lies between values: below one, above one, or around all values of a kind. Booleans, numbers
and texts are kinds of their own, ordered one after the other, for no value of one is in a range of another.

The tree is a treap ordered by the lower cuts, each node with the highest upper cut below it, so that
what a search does not find is left out by whole branches.

Source: Seidel & Aragon, "Randomized Search Trees", 1996; the interval tree as in Cormen et al.,
"Introduction to Algorithms", "Augmenting data structures".
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

#: The rank of a kind, then a value, then 0 below it, 2 above it; a value itself is at 1.
Cut = tuple[Any, ...]

_BELOW: Final = 0
_AT: Final = 1
_ABOVE: Final = 2


def rank(value: Any) -> int | None:
    """The rank of the kind of a value; None for what has no order."""
    match value:
        case bool():
            return 0
        case int() | float():
            return 1
        case str():
            return 2
        case _:
            return None


def span(op: str, value: Any) -> tuple[Cut, Cut] | None:
    """The cuts around what is gt, gte, lt or lte a value, or startsWith it; None where nothing is."""
    kind = rank(value)
    if kind is None:
        return None
    match op:
        case "gt":
            return (kind, value, _ABOVE), (kind + 1,)
        case "gte":
            return (kind, value, _BELOW), (kind + 1,)
        case "lt":
            return (kind,), (kind, value, _BELOW)
        case "lte":
            return (kind,), (kind, value, _ABOVE)
        case "startsWith":
            return _prefixed(value) if isinstance(value, str) else None
        case _:
            raise AssertionError(f"'{op}' is no range")


def point(value: Any) -> Cut | None:
    """Where a value lies among the cuts; None for what has no order."""
    kind = rank(value)
    return None if kind is None else (kind, value, _AT)


def _prefixed(text: str) -> tuple[Cut, Cut]:
    """The cuts around the texts that begin with one."""
    kind = 2
    begins = text.rstrip(chr(0x10FFFF))
    if not begins:
        return (kind, text, _BELOW), (kind + 1,)
    return (kind, text, _BELOW), (kind, begins[:-1] + chr(ord(begins[-1]) + 1), _BELOW)


class _Node:
    __slots__ = ("high", "items", "left", "low", "right", "top", "weight")

    def __init__(self, low: Cut, high: Cut, weight: int) -> None:
        self.low = low
        self.high = high
        #: The highest upper cut of the node and of all below it.
        self.top = high
        self.weight = weight
        self.items: dict[Hashable, None] = {}
        self.left: _Node | None = None
        self.right: _Node | None = None

    def settle(self) -> _Node:
        """What is known of the nodes below, anew."""
        top = self.high
        if self.left is not None and self.left.top > top:
            top = self.left.top
        if self.right is not None and self.right.top > top:
            top = self.right.top
        self.top = top
        return self


class Ranges:
    """Items by the range they are filed under; equal ranges share a node."""

    def __init__(self) -> None:
        self._root: _Node | None = None
        self._nodes: dict[tuple[Cut, Cut], _Node] = {}
        self._seed = 1

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, low: Cut, high: Cut, item: Hashable) -> None:
        """File an item; twice is once. `low` is below `high`."""
        node = self._nodes.get((low, high))
        if node is None:
            # Weights that do not depend on the order of what is added; the same in each run.
            self._seed = (self._seed * 6364136223846793005 + 1442695040888963407) % 2**64
            node = self._nodes[(low, high)] = _Node(low, high, self._seed >> 32)
            self._root = _inserted(self._root, node)
        node.items[item] = None

    def remove(self, low: Cut, high: Cut, item: Hashable) -> None:
        """Take an item out again; one that is not there is no error."""
        node = self._nodes.get((low, high))
        if node is None or node.items.pop(item, False) is False or node.items:
            return
        del self._nodes[(low, high)]
        self._root = _removed(self._root, node)

    def find(self, at: Cut, found: dict[Any, None]) -> None:
        """Note the items whose range holds a point."""
        waiting: list[_Node | None] = [self._root]
        while waiting:
            node = waiting.pop()
            if node is None or node.top < at:
                continue
            waiting.append(node.left)
            if node.low < at:
                if at < node.high:
                    found.update(node.items)
                waiting.append(node.right)

    def __repr__(self) -> str:
        return f"Ranges({len(self)})"


def _key(node: _Node) -> tuple[Cut, Cut]:
    return node.low, node.high


def _inserted(root: _Node | None, node: _Node) -> _Node:
    if root is None:
        return node
    if node.weight > root.weight:
        node.left, node.right = _split(root, _key(node))
        return node.settle()
    if _key(node) < _key(root):
        root.left = _inserted(root.left, node)
    else:
        root.right = _inserted(root.right, node)
    return root.settle()


def _split(root: _Node | None, at: tuple[Cut, Cut]) -> tuple[_Node | None, _Node | None]:
    """The nodes below a key, and those above it."""
    if root is None:
        return None, None
    if _key(root) < at:
        root.right, above = _split(root.right, at)
        return root.settle(), above
    below, root.left = _split(root.left, at)
    return below, root.settle()


def _removed(root: _Node | None, node: _Node) -> _Node | None:
    if root is None or root is node:
        return _joined(node.left, node.right)
    if _key(node) < _key(root):
        root.left = _removed(root.left, node)
    else:
        root.right = _removed(root.right, node)
    return root.settle()


def _joined(left: _Node | None, right: _Node | None) -> _Node | None:
    """One tree of two, all of the left one being below the right one."""
    if left is None or right is None:
        return left or right
    if left.weight > right.weight:
        left.right = _joined(left.right, right)
        return left.settle()
    right.left = _joined(left, right.left)
    return right.settle()
