"""Where a running model enlarges something, what the result passes on its way out, and what the activation shows.

`SITE_DETECTORS` has the kinds of calls that count as upsampling, by name; installed packages add to them.
"""

from artifactlab.attribution.sites.detectors import SITE_DETECTORS, SiteDetector
from artifactlab.attribution.sites.function_calls import FunctionCall, growth_by_size
from artifactlab.attribution.sites.upsampling import Growth, growth_between

__all__ = ["SITE_DETECTORS", "FunctionCall", "Growth", "SiteDetector", "growth_between", "growth_by_size"]
