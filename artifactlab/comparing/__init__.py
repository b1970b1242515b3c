"""Two or more of them: before and after a remedy, two variants of a model, good and bad images, many checkpoints."""

from artifactlab.comparing.calibration import CalibratedGate, Calibration, Share, calibrate
from artifactlab.comparing.compare import compare
from artifactlab.comparing.compare_models import compare_models
from artifactlab.comparing.comparison import Comparison
from artifactlab.comparing.model_comparison import ModelComparison
from artifactlab.comparing.ranking import Difference, Group, Ranking, rank

__all__ = [
    "CalibratedGate",
    "Calibration",
    "Comparison",
    "Difference",
    "Group",
    "ModelComparison",
    "Ranking",
    "Share",
    "calibrate",
    "compare",
    "compare_models",
    "rank",
]
