"""From referral to the team's decision."""

from __future__ import annotations

from tracker.demo import words
from tracker.demo.journey import Journey

_SUSPICIONS = {
    "insulinoma": "fasting-insulin",
    "gastrinoma": "fasting-gastrin",
    "glucagonoma": "glucagon",
    "vipoma": "vip",
}
_GRADE_BELOW = {"G2": "G1", "G3": "G2"}


def open_case(journey: Journey, state: str | None = None) -> None:
    """The case enters the register."""
    journey.tell(
        "case:opened",
        clinic=journey.person.clinic.name,
        timezone=journey.person.clinic.timezone,
        patient=journey.person.as_data(),
        navigator=journey.navigator.email,
        **({"state": state} if state else {}),
    )
    journey.facts(age_at_diagnosis=journey.tumour.age)


def work_up(journey: Journey) -> None:
    """Referral, histology, staging and team review; ends in localized or advanced planning."""
    open_case(journey)
    journey.tell("note:added", text=journey.pick(words.OPENING_NOTES))
    journey.wait(1, 5)
    if journey.chance(0.6):
        journey.move("request_histology")
    journey.wait(6, 20)
    _histology(journey)
    _staging(journey)
    _team_review(journey)


def _histology(journey: Journey) -> None:
    tumour = journey.tumour
    journey.do("histology")
    if journey.chance(0.03):
        journey.mistake("fact:recorded", "Typing error in the Ki-67", ki67_percent=88.0)
    journey.facts(**grading(journey))
    if journey.chance(0.7):
        journey.facts(immunohistochemistry=journey.pick(words.ANTIBODIES))
    if journey.chance(0.3):
        journey.facts(mitoses_per_2mm2={"G1": 1, "G2": 8, "G3": 24, "NEC": 40}[tumour.grade])
    journey.move("confirm_histology")


def grading(journey: Journey) -> dict[str, object]:
    """The pathologist's words; now and then the reported grade is not the one that Ki-67 gives."""
    tumour = journey.tumour
    reported = _GRADE_BELOW.get(tumour.grade, tumour.grade) if journey.chance(0.04) else tumour.grade
    return {
        "differentiation": "poor" if tumour.grade == "NEC" else "well",
        "ki67_percent": tumour.ki67_percent,
        "reported_grade": reported,
    }


def extent(journey: Journey) -> dict[str, object]:
    """What the staging finds."""
    tumour = journey.tumour
    return {"tumour_size_mm": tumour.size_mm, "sstr_uptake": tumour.uptake, **tumour.staging()}


def _staging(journey: Journey) -> None:
    journey.wait(2, 8)
    journey.facts(primary_site=journey.tumour.site)
    _suspicion(journey)
    journey.wait(8, 20)
    journey.facts(syndrome=journey.tumour.syndrome)
    if journey.tumour.hereditary != "not_assessed" or journey.chance(0.5):
        journey.facts(hereditary=journey.tumour.hereditary)
    journey.wait(3, 14)
    journey.facts(**extent(journey))
    journey.wait(1, 8)
    journey.move("refer_to_mdt")


def _suspicion(journey: Journey) -> None:
    """A test that is asked for on clinical suspicion."""
    syndrome = journey.tumour.syndrome
    if syndrome in _SUSPICIONS:
        journey.tell("test:requested", activity=_SUSPICIONS[syndrome], reason=f"Symptoms suggest {syndrome}")
    elif journey.chance(0.15):
        test = journey.pick(("pth", "calcium", "thyroid-function"))
        journey.tell("test:requested", activity=test, reason="Clinical suspicion")


def _team_review(journey: Journey) -> None:
    tumour = journey.tumour
    journey.wait(5, 18)
    journey.do("mdt-review")
    journey.facts(mdt_reviewed_on=journey.now.isoformat())
    journey.tell("decision:recorded", meeting_on=journey.now.isoformat(), text=words.DECISIONS[bool(tumour.metastatic)])
    unresectable = journey.pick(("unresectable", "unresectable", "borderline"))
    journey.facts(resectability=unresectable if tumour.metastatic else "resectable")
    if tumour.metastatic and journey.chance(0.85):
        journey.facts(cytoreduction_discussed=True)
    journey.move("assign_advanced" if tumour.metastatic else "assign_localized")
