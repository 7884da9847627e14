"""Colour says nothing alone: whatever it marks has visible words, a number or a sign that say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import serving
from tests.web.register import register_with_mail

if TYPE_CHECKING:
    from playwright.sync_api import Page

MARKS = {
    ".band-due": r"Due\b",
    ".band-overdue": r"\d days? overdue",
    ".band-lead": r"\d days overdue.*Escalate to clinic lead",
    ".band-clinician": r"\d days overdue.*Escalate to clinician",
    ".urgency-due": r"Due\b",
    ".urgency-lead": r"\d days overdue",
    ".urgency-clinician": r"\d days overdue",
    ".escalation": r"Escalate to",
    ".tag": r"\w{3}",
    ".wanting": r"[1-9]",
    ".tiles .pressing": r"[1-9].*\w{4}",
    ".tiles .calm": r"\d.*\w{4}",
    ".alarm-now": r"^Act now",
    ".alarms li:not(.alarm-now)": r"^See to it",
    ".letters > li": r"^(Refused|In doubt|Rejected)",
    ".warning": r"\w{4}",
    ".conflict": r"differ|kept",
    ".correction": r"Struck out|Corrected|Had no effect",
    ".corrected": r"Struck out|Corrected",
    ".caveat": r"\w{4}",
    ".stop-now": r"The case is here",
    ".stop-passed": r"\d{4}",
    ".step-warned": r"Possible with a reason",
    ".step-missing": r"Something is missing",
    ".line-on-hold": r"On hold",
    ".stay-key": r"^\d+$",
    ".badge-source": r"^\w.*(cited text|policy|guideline|evidence|label|practice)",
    ".entry-booked": r"^Booked",
    ".entry-due": r"^Due",
    "td.full-1, td.full-2, td.full-3, td.full-4": r"\d+ (due|booked)",
    "td.closed": r"\d.*\w{4}",
    ".week-day.is-today": r"Today",
}
"""What is coloured by what it means, and what is to be read in it, without what only a screen reader is told."""
PAGES = (
    "/?navigator=",
    "/worklist?who=anyone",
    "/outbox",
    "/cases/N-001",
    "/cases/N-002",
    "/cases/N-004",
    "/cases/N-005",
    "/calendar?day=2027-03-12",
    "/calendar?view=week&day=2027-03-12",
    "/calendar?view=week&day=2027-03-18",
    "/calendar?view=day&day=2027-03-25",
)
ELSEWHERE = {
    "banner": "Reminders are not going out",
    "conflicting": "the row has both values, and asks which is to stay",
    "field": "the problem stands below the field",
    "find": "says that there is no such case",
    "hold": "dashed, in a picture whose cards say the same",
    "how-late": "among the words of its band",
    "missing-box": "begins with what is still needed",
    "problem": "is a sentence",
    "said-refused": "begins with what was not done",
    "sources": "the place that a link led to",
    "stay-restaging": "has its number, and stands in the list below the picture",
    "late": "is a tag",
    "then": "says that one looks back, or that the record was merged",
    "urgency": "in words, as of its band",
    "urgency-overdue": "in words, as of its band",
    "form-control": "of a field with a problem",
    "form-select": "of a field with a problem",
    "wl-form": "of a field with a problem",
    "has-problem": "the problem stands below the field",
    "missing": "says what is missing",
}
"""Coloured too, but not on those pages, or not by what it means; and why that is read without the colour."""

VISIBLE_WORDS = """elements => elements.map(element => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll(".visually-hidden, title, [hidden]").forEach(part => part.remove());
  return copy.textContent.replace(/\\s+/g, " ").trim();
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serving(register_with_mail(tmp_path_factory.mktemp("colour")))


def test_whatever_is_marked_by_colour_says_the_same_in_words(page: Page, site: str) -> None:
    seen: dict[str, list[str]] = {mark: [] for mark in MARKS}
    for path in PAGES:
        page.goto(site + path)
        for mark, texts in seen.items():
            texts.extend(page.locator(mark).evaluate_all(VISIBLE_WORDS))
    assert [mark for mark, texts in seen.items() if not texts] == [], "these are on none of the pages"
    assert {
        mark: silent
        for mark, texts in seen.items()
        if (silent := [text for text in texts if not re.search(MARKS[mark], text)])
    } == {}


def test_every_class_in_a_colour_of_alarm_is_among_those_looked_at() -> None:
    style = re.sub(r"/\*.*?\*/", "", Path("web/static/tracker.css").read_text(), flags=re.DOTALL)
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    alarming = {
        name
        for selector, body in rules
        if ":root" not in selector and re.search(r"var\(--(alarm|amber)", body)
        for name in re.findall(r"\.([a-z][a-z0-9-]*)", selector)
    }
    known = set(ELSEWHERE) | set(re.findall(r"\.([a-z][a-z0-9-]*)", " ".join(MARKS)))
    assert alarming <= known
