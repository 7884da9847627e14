"""What the invented navigators write: results, notes and reasons."""

from __future__ import annotations

RESULTS = {
    "visit": (
        "Seen in clinic, well",
        "Seen by video call",
        "Tired, otherwise well",
        "Weight stable",
        "Weight down 2 kg",
    ),
    "ct": ("No new lesion", "Stable", "Report to follow", "Two small liver lesions, unchanged"),
    "mri": ("No new lesion", "Stable", "Unchanged"),
    "eus": ("Unchanged", "Lesion measured again"),
    "cga": ("98 ng/mL", "64 ng/mL, stable", "212 ng/mL, up", "130 ng/mL, on a proton-pump inhibitor"),
    "5-hiaa": ("31 µmol/24 h", "88 µmol/24 h, up", "24 µmol/24 h"),
    "syndrome-hormone": ("Stable", "Lower than last time", "Raised"),
    "bloods": ("In range", "Platelets low, repeated", "Glucose raised, team informed", "In range"),
    "nt-probnp": ("86 ng/L", "140 ng/L", "310 ng/L, team informed"),
    "echocardiogram": ("No valve lesion", "No valve lesion", "Mild tricuspid regurgitation"),
    "sstr-imaging": ("Uptake as before", "No new lesion"),
    "hereditary-screen": ("Calcium and PTH in range", "Calcium raised, team informed", "No new lesion"),
    "hold-review": ("Team: go on waiting", "Team: ready to resume"),
    "perioperative-octreotide": ("Infusion ordered, anaesthetist told",),
}
"""Results by activity; an activity that is not named is done without one."""

RESTAGING_RESULTS = ("Report to follow", "To be compared at the team meeting")

NOTES = (
    "Prefers calls after 16:00.",
    "Daughter comes along to each visit and keeps the diary.",
    "Long way to travel: bundle tests on one day.",
    "Asked about work; letter for the employer sent.",
    "Interpreter needed, booked for each visit.",
    "Distress screening done: worried about scans. Offered the support group.",
    "Transport was a problem last time; patient transport arranged.",
    "Wants results by phone, not by letter.",
    "Pancreatic enzymes explained again.",
    "Blood tests at the local practice from now on.",
)

BARRIERS = {
    "Long way to travel: bundle tests on one day.": "transport",
    "Transport was a problem last time; patient transport arranged.": "transport",
    "Interpreter needed, booked for each visit.": "language",
    "Distress screening done: worried about scans. Offered the support group.": "fear",
}
"""The barrier of which a note tells."""
BARRIERS_RESOLVED = {
    "Transport was a problem last time; patient transport arranged.": "Patient transport for each visit.",
}

DECISIONS = {
    True: "Advanced disease confirmed. Treatment to be planned at the next visit.",
    False: "Localised disease confirmed. Surgeon to see the patient.",
}
"""What the team decides, by whether the disease has spread."""

OPENING_NOTES = (
    "Referred after a chance finding on CT.",
    "Referred by gastroenterology, symptoms for over a year.",
    "Referred from the emergency department.",
    "Second opinion asked for by the patient.",
)

HOLD_REASONS = ("Raised liver tests", "Surgery for a hernia", "Diarrhoea grade 3", "Low platelets", "Family journey")
WAIVE_REASONS = (
    "Done elsewhere three weeks ago, report on file",
    "Team: not needed this time",
    "Patient declined this time",
)
MOVE_REASONS = ("Patient on holiday", "Scanner out of order", "Bundled with another appointment", "Patient unwell")
HAND_OVER_REASONS = ("Colleague on leave", "Moved to the other team", "Caseload evened out")
DISCHARGE_REASONS = ("Small tumour, frail patient, agreed with the family", "Care goes on with the family doctor")
TRANSFER_REASONS = ("Moved to another city", "Trial at another centre")
EXPLAINED_LATER = "Looked up and confirmed with the team."

ANTIBODIES = (
    "Synaptophysin +, chromogranin A +",
    "Synaptophysin +, chromogranin A +, SSTR2A +",
    "Synaptophysin +, chromogranin A weak",
    "done",
)

REASONS = {
    "surveillance-large-or-functional": "Frail patient, surgery declined after talking it through.",
    "prrt-without-high-uptake": "Team: uptake judged sufficient on the later scan, report to follow.",
    "targeted-without-progression": "Team: tumour load high, not waiting for progression.",
    "targeted-in-nec": "Team: no other option left, agreed with the patient.",
    "platinum-in-low-grade": "Team: clinical course more aggressive than the grade.",
    "analogue-alone-in-nec": "For symptoms until chemotherapy starts.",
    "streptozocin-conflict": "Team knows that the sources disagree, and decided on the whole course.",
    "procedure-without-prophylaxis": "Cover was given, the checklist stayed in the theatre notes.",
    "line-before-team-review": "Started elsewhere before referral.",
    "baseline-tests-missing": "Team did not need the missing ones to decide.",
    "hereditary-not-assessed": "Genetics appointment is booked.",
    "carcinoid-heart-baseline-missing": "Echocardiogram is booked.",
    "cytoreduction-not-discussed": "Extent makes surgery unrealistic, to be noted at the next meeting.",
}
"""A reason by warning."""
