"""How hard the random histories are tried: a hundred in every run, 20,000 with HYPOTHESIS_PROFILE=nightly."""

import os

from hypothesis import HealthCheck, settings

# A history is built event by event, each one tried on the plan: slow for Hypothesis, and meant.
settings.register_profile(
    "default", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
