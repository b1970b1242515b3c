"""Get rid of it: replace the upsamplers that cause artifacts, train the new ones without labels, check, and fuse.

`fix_site` does all of it, as `TrainingOptions` and `JudgingOptions` say; `CURES` has its modes: `REFITS` change the
weights of the layer itself, and `REPLACEABLE` are the modes of `artifactlab.fix.upsample` that it can put in its place.
`EdgeAwareLoss` and `SitePenalty` are for training loops of one's own.
"""

from artifactlab.fix.distil import Distilled, distil
from artifactlab.fix.fuse import count_fused, fuse, fuse_model
from artifactlab.fix.fused import FusedUpsample
from artifactlab.fix.gradient_watch import IneffectiveLossWarning
from artifactlab.fix.loss import EdgeAwareLoss
from artifactlab.fix.options import JudgingOptions, TrainingOptions
from artifactlab.fix.pipeline import Fix, fix_site
from artifactlab.fix.replace import replace_upsampler
from artifactlab.fix.replacement import CURES, REFITS, REPLACEABLE, Replacement
from artifactlab.fix.site_penalty import SitePenalty
from artifactlab.fix.suggest import Suggestion, Suggestions, suggest
from artifactlab.fix.swap import Swap
from artifactlab.fix.training import Evaluation
from artifactlab.fix.verify import FixCheck, check_fix
from artifactlab.fix.weights import save_fixed

__all__ = [
    "CURES",
    "REFITS",
    "REPLACEABLE",
    "Distilled",
    "EdgeAwareLoss",
    "Evaluation",
    "Fix",
    "FixCheck",
    "FusedUpsample",
    "IneffectiveLossWarning",
    "JudgingOptions",
    "Replacement",
    "SitePenalty",
    "Suggestion",
    "Suggestions",
    "Swap",
    "TrainingOptions",
    "check_fix",
    "count_fused",
    "distil",
    "fix_site",
    "fuse",
    "fuse_model",
    "replace_upsampler",
    "save_fixed",
    "suggest",
]
