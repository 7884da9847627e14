import copy
from typing import Any

import pytest

from workflows.lint import ITEMS, coverage, lint
from workflows.pathway import Pathway, load

CARRYING = ("facts", "triggers", "warnings", "activities", "follow_ups", "treatments", "guidance")

SMALL: dict[str, Any] = {
    "id": "small",
    "version": "1",
    "title": "A pathway of two states",
    "disclaimer": "Tracks and reminds.",
    "initial": "workup.referred",
    "phases": {"workup": "Work-up", "closed": "Closed"},
    "documents": [{"id": "D", "title": "A document"}],
    "sources": [{"id": "P-one", "kind": "P", "group": "record", "text": "Our policy.", "documents": "D"}],
    "facts": [
        {
            "name": "site",
            "label": "Site",
            "type": "choice",
            "choices": [{"value": "midgut", "label": "Midgut"}],
        },
        {"name": "functional", "label": "Functional", "type": "boolean"},
        {"name": "m", "label": "M", "type": "text", "pattern": "0|1[abc]?", "qualified_by": "site"},
    ],
    "states": [
        {"name": "workup.referred", "title": "Referred", "purpose": "Start."},
        {"name": "closed.discharged", "title": "Discharged", "purpose": "End."},
    ],
    "triggers": [{"id": "discharge", "title": "Discharge", "moves": [{"from": "open", "to": "closed.discharged"}]}],
    "warnings": [
        {
            "id": "midgut",
            "text": "A midgut primary.",
            "on": "discharge",
            "when": {"all": [{"fact": "site", "is": "midgut"}, {"not": {"done": ["visit"]}}]},
            "sources": "P-one",
        }
    ],
    "activities": [{"id": "visit", "label": "Visit"}],
    "follow_ups": [
        {
            "id": "visits",
            "title": "Visits",
            "activity": "visit",
            "per": "line",
            "line": {"codes": ["lanreotide"]},
            "while_words": "a line is active",
            "every": "3 months",
            "before": 14,
            "after": 14,
            "ends_when": "the line ends",
            "sources": "P-one",
        }
    ],
    "reminders": {"standard": [{"id": "due", "at": "due"}]},
    "treatments": [{"code": "lanreotide", "label": "Lanreotide", "categories": "analogue", "sources": "P-one"}],
    "intents": [{"value": "palliative", "label": "Palliative"}],
    "checklists": [
        {
            "id": "start",
            "title": "Start",
            "shown_in": "workup.*",
            "items": [{"id": "seen", "text": "Seen", "activity": "visit", "sources": "P-one"}],
        }
    ],
    "guidance": [{"id": "note", "text": "The source says so.", "shown_in": "discharge", "sources": "P-one"}],
}
"""A pathway that is sound but for the 72 items, which a small one cannot carry."""

LONELY = {"name": "workup.lonely", "title": "Lonely", "purpose": "Nothing leads here."}
TRAP = {"name": "workup.trap", "title": "Trap", "purpose": "Nothing leads out.", "entry": True}

BREAKS: dict[str, tuple[str, Any, str]] = {
    # what is broken: where in the small pathway, what is put there, the code that is expected
    "a state that nothing leads to": ("states.2", LONELY, "unreachable-state"),
    "an open state that only leads to itself": ("triggers.0.moves.0.to", "workup.referred", "no-way-out"),
    "an open state without any move": ("triggers.0.moves.0.from", "closed.discharged", "no-way-out"),
    "a start in no state": ("initial", "workup.nowhere", "unknown-state"),
    "a move to no state": ("triggers.0.moves.0.to", "closed.nowhere", "unknown-state"),
    "a move from no state": ("triggers.0.moves.0.from", "surgery.*", "unknown-state"),
    "a rule in no state": ("follow_ups.0.states", "workup.nowhere", "unknown-state"),
    "a condition on no state": ("warnings.0.when", {"state": ["localized.*"]}, "unknown-state"),
    "a condition on an origin that is no state": ("warnings.0.when", {"came_from": "x.y"}, "unknown-state"),
    "a state in no phase": ("phases", {"closed": "Closed"}, "unknown-phase"),
    "a condition on no fact": ("warnings.0.when", {"fact": "size", "known": True}, "unknown-fact"),
    "a past value of no fact": ("warnings.0.when", {"ever": "size", "is": "big"}, "unknown-fact"),
    "a difference from no fact": ("warnings.0.when", {"differ": ["site", "place"]}, "unknown-fact"),
    "a fact qualified by no fact": ("facts.2.qualified_by", "system", "unknown-fact"),
    "a derivation from no fact": (
        "facts.1.derived",
        {"by": "measured_grade", "bands": {"ki67": []}},
        "unknown-fact",
    ),
    "a rule satisfied by no fact": ("follow_ups.0.satisfied_by", {"facts": ["size"]}, "unknown-fact"),
    "a value outside the choices": ("warnings.0.when.all.0.is", "pancreas", "unknown-value"),
    "one value of several outside the choices": (
        "warnings.0.when.all.0",
        {"fact": "site", "in": ["midgut", "lung"]},
        "unknown-value",
    ),
    "a past value outside the choices": ("warnings.0.when", {"ever": "site", "is": "lung"}, "unknown-value"),
    "a word asked of a yes or no": ("warnings.0.when", {"fact": "functional", "is": "no"}, "unknown-value"),
    "a yes asked of a choice": ("warnings.0.when", {"fact": "site", "is": True}, "unknown-value"),
    "a value outside the pattern": ("warnings.0.when", {"fact": "m", "is": "M1"}, "unknown-value"),
    "a rule without a source": ("follow_ups.0.sources", [], "no-source"),
    "a warning without a source": ("warnings.0.sources", [], "no-source"),
    "a treatment without a source": ("treatments.0.sources", [], "no-source"),
    "a checklist item without a source": ("checklists.0.items.0.sources", [], "no-source"),
    "guidance without a source": ("guidance.0.sources", [], "no-source"),
    "a source that is not listed": ("guidance.0.sources", ["S99"], "unknown-source"),
    "a fact with a source that is not listed": ("facts.0.sources", ["S99"], "unknown-source"),
    "a source in no document": ("sources.0.documents", ["E"], "unknown-document"),
    "a rule for no activity": ("follow_ups.0.activity", "scan", "unknown-activity"),
    "a rule satisfied by no activity": (
        "follow_ups.0.satisfied_by",
        {"activities": ["scan"]},
        "unknown-activity",
    ),
    "a checklist item for no activity": ("checklists.0.items.0.activity", "scan", "unknown-activity"),
    "an activity that counts as none": ("activities.0.counts_as", "scan", "unknown-activity"),
    "a condition on no activity": ("warnings.0.when.all.1.not.done", ["scan"], "unknown-activity"),
    "a rule without its reminders": ("follow_ups.0.reminders", "doses", "unknown-reminders"),
    "a rule that follows none": ("follow_ups.0.follows", "doses", "unknown-rule"),
    "a warning on no trigger": ("warnings.0.on", "start_line", "unknown-trigger"),
    "a state with no such guidance": ("states.0.guidance", "advice", "unknown-guidance"),
    "a trigger with no such guidance": ("triggers.0.guidance", "advice", "unknown-guidance"),
    "a rule for no treatment": ("follow_ups.0.line.codes", ["prrt"], "unknown-treatment"),
    "a rule for no category": ("follow_ups.0.line", {"categories": ["prrt"]}, "unknown-category"),
    "a rule for no intent": ("follow_ups.0.line", {"intents": ["curative"]}, "unknown-intent"),
    "guidance in no state or trigger": ("guidance.0.shown_in", "start_line", "shown-nowhere"),
    "guidance that names no place": ("guidance.0.shown_in", [], "shown-nowhere"),
    "a checklist in no state or trigger": ("checklists.0.shown_in", "therapy.*", "shown-nowhere"),
    "a treatment without the cycle a rule asks for": ("follow_ups.0.every", "cycle", "no-cycle"),
}


def broken(path: str, value: Any) -> Pathway:
    """The small pathway with one value, named by its path, put in."""
    document = copy.deepcopy(SMALL)
    *steps, last = path.split(".")
    part: Any = document
    for step in steps:
        part = part[int(step)] if isinstance(part, list) else part[step]
    if not isinstance(part, list):
        part[last] = value
    elif int(last) == len(part):
        part.append(value)
    else:
        part[int(last)] = value
    return Pathway.model_validate(document)


def codes(pathway: Pathway) -> set[str]:
    return {finding.code for finding in lint(pathway)} - {"item-missing", "not-carried"}


def without(pathway: Pathway, item: str) -> Pathway:
    """The pathway without any part that carries the item; its source stays listed."""
    kept = {
        field: tuple(part for part in getattr(pathway, field) if item not in part.model_dump_json())
        for field in CARRYING
    }
    lists = tuple(
        checklist.model_copy(update={"items": tuple(i for i in checklist.items if item not in i.sources)})
        for checklist in pathway.checklists
    )
    return pathway.model_copy(update={**kept, "checklists": lists})


@pytest.fixture(scope="module")
def pannet() -> Pathway:
    return load()


def test_shipped_pathway_has_no_findings(pannet: Pathway) -> None:
    assert lint(pannet) == []


def test_shipped_pathway_carries_all_72_items(pannet: Pathway) -> None:
    carried = coverage(pannet)
    assert list(carried) == [f"S{number:02}" for number in range(1, 73)]
    assert [item for item, carriers in carried.items() if not carriers] == []


def test_coverage_names_the_carriers(pannet: Pathway) -> None:
    carried = coverage(pannet)
    assert "follow-up rule treatment-visit" in carried["S63"]
    assert "treatment lanreotide" in carried["S37"]
    assert "checklist workup-eus" in carried["S11"]
    assert "warning streptozocin-conflict" in carried["S46"]
    assert "fact measured_grade" in carried["S13"]
    assert "activity nt-probnp" in carried["S58"]
    assert "trigger begin_surveillance" in carried["S64"]
    assert carried["S72"] == ["guidance g-field-evolves"]


@pytest.mark.parametrize("item", ITEMS)
def test_item_that_nothing_carries_any_more_is_found(pannet: Pathway, item: str) -> None:
    findings = lint(without(pannet, item))
    assert (f"source {item}", "not-carried") in [(finding.where, finding.code) for finding in findings]


@pytest.mark.parametrize("note", ["g-indolent", "g-localized-survival", "g-field-evolves"])
def test_deleting_the_only_carrier_of_an_item_is_found(pannet: Pathway, note: str) -> None:
    kept = tuple(guidance for guidance in pannet.guidance if guidance.id != note)
    assert len(kept) == len(pannet.guidance) - 1
    assert [finding.code for finding in lint(pannet.model_copy(update={"guidance": kept}))] == ["not-carried"]


def test_deleting_a_source_entry_is_found(pannet: Pathway) -> None:
    kept = tuple(source for source in pannet.sources if source.id != "S72")
    found = {finding.code for finding in lint(pannet.model_copy(update={"sources": kept}))}
    assert found == {"item-missing", "unknown-source"}


def test_listing_a_source_carries_nothing(pannet: Pathway) -> None:
    assert all(not carriers for carriers in coverage(broken("sources.1", SMALL["sources"][0])).values())


def test_small_pathway_is_sound() -> None:
    assert codes(Pathway.model_validate(SMALL)) == set()


@pytest.mark.parametrize("path, value, code", BREAKS.values(), ids=BREAKS.keys())
def test_breakage_is_found(path: str, value: Any, code: str) -> None:
    assert code in codes(broken(path, value))


def test_state_in_which_cases_enter_needs_no_trigger_that_leads_there() -> None:
    assert codes(broken("states.2", TRAP)) == set()


@pytest.mark.parametrize(
    "collection", [name for name, members in SMALL.items() if isinstance(members, list) and name != "intents"]
)
def test_two_of_the_same_name_are_found(collection: str) -> None:
    members = SMALL[collection]
    assert "duplicate-id" in codes(broken(f"{collection}.{len(members)}", members[0]))


def test_two_items_of_the_same_name_are_found_across_checklists() -> None:
    second = SMALL["checklists"][0] | {"id": "again"}
    assert codes(broken("checklists.1", second)) == {"duplicate-id"}


def test_finding_says_what_and_where() -> None:
    (finding,) = (f for f in lint(broken("follow_ups.0.activity", "scan")) if f.code == "unknown-activity")
    assert finding.where == "follow-up rule visits"
    assert finding.message == "names the activity scan, which the pathway does not have"
