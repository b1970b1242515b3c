"""Get rid of it: replace the upsampler that causes the artifact, train the new one without labels, check, and fuse."""

from artifactlab.fix.distil import Distilled, distil
from artifactlab.fix.pipeline import Fix, fix_site
from artifactlab.fix.replace import REPLACEABLE, Replacement, Swap, replace_upsampler
from artifactlab.fix.verify import FixCheck, check_fix
from artifactlab.fix.weights import save_fixed

__all__ = [
    "REPLACEABLE",
    "Distilled",
    "Fix",
    "FixCheck",
    "Replacement",
    "Swap",
    "check_fix",
    "distil",
    "fix_site",
    "replace_upsampler",
    "save_fixed",
]
