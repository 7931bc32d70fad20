"""Settings of the data tests."""

from hypothesis import settings

# the first example imports what it compares with; how long an example takes is no result
settings.register_profile("harness", deadline=None)
settings.load_profile("harness")
