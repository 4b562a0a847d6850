"""Circles: jobs that would wait for each other, for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def first(after: Mapping[str, Sequence[str]]) -> list[str] | None:
    """A cycle of a graph in the order of running, its first node again at the end; or None.

    Args:
        after: for each node those that come before it.
    """
    left = {node: sum(one in after for one in before) for node, before in after.items()}
    later: dict[str, list[str]] = {}
    for node, before in after.items():
        for one in before:
            later.setdefault(one, []).append(node)
    ready = [node for node, count in left.items() if not count]
    for node in ready:
        for one in later.get(node, ()):
            left[one] -= 1
            if not left[one]:
                ready.append(one)
    stuck = {node for node, count in left.items() if count}
    if not stuck:
        return None
    node = next(node for node in after if node in stuck)
    way: dict[str, None] = {}
    while node not in way:
        way[node] = None
        node = next(one for one in after[node] if one in stuck)
    whole = list(way)
    circle = whole[whole.index(node) :][::-1]
    # From the one that was written first.
    places = {node: place for place, node in enumerate(after)}
    start = circle.index(min(circle, key=places.__getitem__))
    return [*circle[start:], *circle[:start], circle[start]]
