"""The pictures of a case: where marks stand, what is drawn at all, and which scale is taken."""

from datetime import date

import pytest

from tests.workflows.journeys import Journey, day
from web import charts, markers
from web.charts import Axis

TODAY = date(2027, 3, 12)


def test_an_axis_puts_days_between_its_ends_and_never_outside() -> None:
    axis = Axis(date(2026, 1, 1), date(2026, 1, 11), 0, 100)
    assert [axis.x(date(2026, 1, n)) for n in (1, 6, 11)] == [0, 50, 100]
    assert (axis.x(date(2025, 1, 1)), axis.x(date(2027, 1, 1))) == (0, 100)
    assert axis.span(date(2026, 1, 6), date(2026, 1, 6)).width == 2, "a day can be seen"


def test_ticks_are_years_or_months_and_never_too_many() -> None:
    assert [tick.words for tick in Axis(date(2023, 6, 1), TODAY).ticks()] == ["2024", "2025", "2026", "2027"]
    assert [tick.words for tick in Axis(date(2027, 1, 5), TODAY).ticks()] == ["Feb 2027", "Mar 2027"]
    assert len(Axis(date(1990, 1, 1), TODAY).ticks()) <= 5


def test_the_way_numbers_each_stay_and_ends_today() -> None:
    journey = Journey.advanced("2026-01-05").starts("2026-03-02", "lanreotide")
    way = charts.way(journey.plan().history, TODAY)
    assert [(stay.number, stay.title, stay.until) for stay in way.stays] == [
        (1, "Advanced disease, planning", day("2026-03-02")),
        (2, "On treatment", None),
    ]
    assert way.stays[-1].span.x + way.stays[-1].span.width == pytest.approx(charts.WIDTH)


def test_a_case_of_today_can_be_drawn() -> None:
    way = charts.way(Journey().opened(TODAY).plan().history, TODAY)
    assert len(way.stays) == 1


def test_doses_are_marked_where_they_were_given() -> None:
    journey = (
        Journey.treated("2026-01-05", "lanreotide").done("2026-02-02", "injection").done("2026-03-02", "injection")
    )
    history = journey.plan().history
    assert charts.doses(history, history.lines[0]) == [day("2026-01-05"), day("2026-02-02"), day("2026-03-02")]
    drawn = charts.therapy(history, TODAY)
    assert drawn is not None
    assert len(drawn.bars[0].doses) == 3
    assert charts.therapy(Journey.advanced().plan().history, TODAY) is None


def test_each_dose_is_listed_with_what_was_given() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide").done("2026-02-02", "injection", result="120 mg")
    history = journey.plan().history
    (found,) = charts.dose_list(history, journey.events).values()
    assert [(dose.on, dose.amount) for dose in found] == [(day("2026-02-02"), "120 mg"), (day("2026-01-05"), "")]
    tablets = Journey.treated("2026-01-05", "everolimus")
    assert charts.dose_list(tablets.plan().history, tablets.events) == {}


def results(*told: str) -> list[markers.Plot]:
    journey = Journey.treated("2026-01-05", "lanreotide")
    for month, text in enumerate(told, 2):
        journey.done(f"2026-{month:02}-10", "cga", result=text)
    return markers.plots(journey.plan().history, journey.events)


def test_results_are_read_as_they_are_written() -> None:
    (plot,) = results("98 ng/mL", "64,5 ng/mL, stable", "report to follow", "<10 ng/mL")
    assert (plot.title, plot.unit) == ("Chromogranin A", "µg/L")
    assert [reading.bound for reading in plot.readings] == [False, False, True]
    assert [reading.number for reading in plot.readings] == [98, 64.5, 10]
    assert plot.readings[1].text == "64,5 ng/mL, stable"


def test_units_are_not_mixed_and_one_result_is_no_curve() -> None:
    (plot,) = results("98 ng/mL", "12 nmol/L", "90 ng/mL")
    assert (plot.unit, len(plot.readings)) == ("µg/L", 2)
    assert "Chromogranin A in other units is not drawn here" in plot.hint
    assert [plot.unit for plot in results("98 U/L", "12 nmol/L", "90 U/L", "3 nmol/L")] == ["U/L", "nmol/L"]
    assert results("98 ng/mL") == []


@pytest.mark.parametrize("written", ["ng/mL", "ng/ml", "µg/L", "μg/l", "ug/L", " µg/L "])
def test_a_unit_is_one_however_it_is_typed(written: str) -> None:
    assert markers.unit(written) == "µg/L"
    assert markers.unit("nmol/L") != markers.unit("U/L")


def test_units_that_are_the_same_by_definition_share_a_drawing_that_says_so() -> None:
    (plot,) = results("98 ng/mL", "88 µg/L")
    assert (plot.unit, [r.number for r in plot.readings], plot.hint) == ("µg/L", [98, 88], "1 ng/mL is 1 µg/L.")
    (alone,) = results("98 ng/mL", "88 ng/mL")
    assert alone.hint == ""


def test_what_is_not_drawn_is_told_with_the_reason() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide").done("2026-02-10", "cga", result="raised")
    journey.done("2026-03-10", "cga", result="98 ng/mL").done("2026-04-10", "visit", result="well")
    found = markers.loose(journey.plan().history, journey.events)
    assert [(one.text, one.why) for one in found] == [
        ("raised", "no number with a unit"),
        ("98 ng/mL", "the only one in µg/L"),
    ]


@pytest.mark.parametrize("written", ["1,250 µg/L", "1.250 µg/L", "12,500 ng/mL"])
def test_a_number_that_can_be_read_in_two_ways_is_not_drawn_as_one_of_them(written: str) -> None:
    (plot,) = results("98 ng/mL", written, "0.125 µg/L", "90 µg/L")
    assert [reading.number for reading in plot.readings] == [98, 0.125, 90]
    journey = Journey.treated("2026-01-05", "lanreotide").done("2026-02-10", "cga", result=written)
    (told,) = markers.loose(journey.plan().history, journey.events)
    assert "can be read as 1" in told.why


@pytest.mark.parametrize(
    "written", ["9" * 400, "9" * 310, "1" + "0" * 13, "0." + "0" * 322 + "5", "0." + "0" * 12 + "5"]
)
def test_a_number_beyond_any_measurement_is_told_and_not_drawn(written: str) -> None:
    assert results(f"{written} µg/L", f"{written} µg/L") == []
    (plot,) = results("98 µg/L", f"{written} µg/L", "0 µg/L")
    assert [reading.number for reading in plot.readings] == [98, 0]
    journey = Journey.treated("2026-01-05", "lanreotide").done("2026-02-10", "cga", result=f"{written} µg/L")
    (told,) = markers.loose(journey.plan().history, journey.events)
    assert told.why == "too large or too small to draw"


def test_a_fact_beyond_any_measurement_is_not_drawn() -> None:
    journey = Journey.advanced("2026-01-05").fact("2026-02-01", tumour_size_mm=5e-324)
    journey.fact("2026-03-01", tumour_size_mm=5e-324)
    assert markers.plots(journey.plan().history, journey.events) == []


def test_a_wide_range_is_drawn_on_a_logarithmic_scale() -> None:
    (narrow,), (wide,) = results("98 ng/mL", "130 ng/mL"), results("98 ng/mL", "2400 ng/mL")
    assert not narrow.logarithmic
    assert [words for _, words in narrow.levels] == ["0", "50", "100", "150"]
    assert wide.logarithmic
    assert [words for _, words in wide.levels] == ["10", "100", "1000", "10000"]
    for plot in (narrow, wide):
        assert all(0 <= dot.y <= 120 for dot in plot.dots)


def test_zero_can_be_drawn() -> None:
    (plot,) = results("0 ng/mL", "0 ng/mL")
    assert not plot.logarithmic


def test_a_fact_that_is_a_number_is_drawn_when_it_changed() -> None:
    journey = Journey.advanced("2026-01-05").fact("2026-02-01", ki67_percent=5.0)
    (plot,) = markers.plots(journey.plan().history, journey.events)
    assert (plot.title, plot.unit, [r.number for r in plot.readings]) == ("Ki-67", "%", [2, 5])


def test_what_was_struck_out_is_not_drawn() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide")
    journey.done("2026-02-10", "cga", result="98 ng/mL").done("2026-03-10", "cga", result="9800 ng/mL")
    journey.corrected("2026-03-11", journey.last_id)
    assert markers.plots(journey.plan().history, journey.events) == []
