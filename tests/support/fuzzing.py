"""How hard the tests with random input try: profiles of Hypothesis, to be chosen with --hypothesis-profile."""

from typing import Any

from hypothesis import HealthCheck, settings

ORDINARY = 60
# No clock decides: on a busy machine an example, or the making of it, may take seconds.
UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# The same examples in every run: a failure is a failure of the change at hand.
settings.register_profile("reproducible", derandomize=True, database=None, max_examples=ORDINARY, **UNTIMED)
# Others in every run, and many; a failure prints how to repeat it.
settings.register_profile(
    "thorough", derandomize=False, database=None, max_examples=50 * ORDINARY, print_blob=True, **UNTIMED
)

# A new folder for each example costs more than the example; its files are written over.
REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def examples(ordinary: int) -> int:
    """The number of examples of a test that tries `ordinary` ones in the ordinary profile."""
    return ordinary * settings().max_examples // ORDINARY
