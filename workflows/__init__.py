"""The functional core: pathways, case histories and the plan of follow-ups.

Nothing in this package reads a clock, a database, a setting or the network.
"""
