"""What is passed where an activation's threshold, slope or alpha is not given: the core then takes its default."""

import math

DEFAULT_ALPHA = math.nan
