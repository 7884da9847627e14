"""Which part of a pathway carries which item of the two cited documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from workflows import parts as schema
from workflows.pathway import Pathway

ITEMS: tuple[str, ...] = tuple(f"S{number:02}" for number in range(1, 73))
"""Every item of the two documents. Fixed here, so that leaving out a source cannot lose its item."""

CARRIERS: dict[type[BaseModel], str] = {
    schema.FactDefinition: "fact",
    schema.Trigger: "trigger",
    schema.WarningRule: "warning",
    schema.Activity: "activity",
    schema.FollowUpRule: "follow-up rule",
    schema.Treatment: "treatment",
    schema.ChecklistItem: "checklist",
    schema.Guidance: "guidance",
}
"""The parts that bring an item to a person. A source that is only listed brings nothing."""

_PLACES: dict[type[BaseModel], str] = {
    **CARRIERS,
    schema.Document: "document",
    schema.Source: "source",
    schema.State: "state",
    schema.Checklist: "list",
}


def parts(pathway: Pathway) -> Iterator[tuple[str, BaseModel]]:
    """Every part of the pathway, however deep, with the place it stands in: ``("trigger start_line", …)``."""
    for field in type(pathway).model_fields:
        yield from _inside(getattr(pathway, field), "pathway")


def name_of(part: BaseModel) -> str:
    """The id, name or code by which a part is known."""
    return next(str(getattr(part, key)) for key in ("id", "name", "code") if hasattr(part, key))


def coverage(pathway: Pathway) -> dict[str, list[str]]:
    """For each of the 72 items, what carries it, for example ``"follow-up rule treatment-visit"``."""
    carried: dict[str, list[str]] = {item: [] for item in ITEMS}
    for place, part in parts(pathway):
        for source in getattr(part, "sources", ()):
            if source in carried and place not in carried[source]:
                carried[source].append(place)
    return carried


def _inside(node: Any, place: str) -> Iterator[tuple[str, BaseModel]]:
    if isinstance(node, BaseModel):
        kind = _PLACES.get(type(node))
        place = f"{kind} {name_of(node)}" if kind else place
        yield place, node
    for inner in _members(node):
        yield from _inside(inner, place)


def _members(node: Any) -> Iterable[Any]:
    if isinstance(node, BaseModel):
        return [getattr(node, field) for field in type(node).model_fields]
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, tuple) else ()
