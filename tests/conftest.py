"""What holds for all tests: how long a search for counter-examples goes on."""

from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("fuzz", deadline=None, max_examples=20_000)
settings.load_profile("default")
