"""A few short histories that the tests of the record share."""

from tests.tracker.conftest import journal
from tracker.interchange.journal import JournalLine

LANREOTIDE = """
{"case":"N-001","on":"2026-01-05","event":"case:opened","data":{"clinic":"North","timezone":"Europe/London","patient":{"ref":"N-001","name":"Canary Surname","birth_date":"1961-02-28","sex":"female","mrn":"MRN-CANARY"},"navigator":"ana@example.org","state":"advanced.planning"}}
{"case":"N-001","on":"2026-01-20","event":"fact:recorded","data":{"differentiation":"well","ki67_percent":2.0,"primary_site":"pancreas","syndrome":"none","m":"1","mdt_reviewed_on":"2026-01-19","hereditary":"none","cytoreduction_discussed":true}}
{"case":"N-001","on":"2026-02-20","event":"activity:done","data":{"activity":"ct","result":"baseline"}}
{"case":"N-001","on":"2026-03-02","event":"state:changed","data":{"trigger":"start_line","treatment":"lanreotide","intent":"disease-control"}}
{"case":"N-001","on":"2026-03-30","event":"activity:done","data":{"activity":"injection","result":"120 mg"}}
{"case":"N-001","on":"2026-04-02","event":"contact:attempted","data":{"channel":"phone","outcome":"no-answer"}}
{"case":"N-001","on":"2026-04-04","event":"note:added","data":{"text":"a private note"}}
{"case":"N-001","on":"2026-02-20","event":"activity:done","data":{"activity":"cga"}}
"""


def lanreotide(ref: str = "N-001") -> list[JournalLine]:
    """An advanced case on lanreotide since 2 March 2026; the last injection was on 30 March."""
    return journal(LANREOTIDE.replace("N-001", ref))


REFERRED = """
{"case":"N-001","on":"2026-05-11","event":"case:opened","data":{"clinic":"North","timezone":"Europe/London","patient":{"ref":"N-001"},"navigator":"ana@example.org"}}
"""


def referred(ref: str = "N-001", on: str = "2026-05-11", **data: str | None) -> list[JournalLine]:
    """A case referred on a day, for which histology opens on that day, is due after 14 days and late after 28.

    The navigator hears on days 0, 14 and 29, the lead on day 42, the clinician on day 58; nothing of it is urgent.
    """
    lines = journal(REFERRED.replace("N-001", ref).replace("2026-05-11", on))
    lines[0].data.update(data)
    for name in [name for name, value in data.items() if value is None]:
        del lines[0].data[name]
    return lines
