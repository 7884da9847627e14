"""The ways in and out: journal, cBioPortal cohorts."""
