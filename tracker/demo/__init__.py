"""A believable cohort of invented patients, made to show the tracker and to test it."""

from tracker.demo.cohort import demo_cohort
from tracker.demo.people import CLINICS, Clinic, Navigator

__all__ = ["CLINICS", "Clinic", "Navigator", "demo_cohort"]
