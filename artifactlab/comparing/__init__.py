"""Two of them: results before and after a remedy, or two variants of a model."""

from artifactlab.comparing.compare import compare
from artifactlab.comparing.compare_models import compare_models
from artifactlab.comparing.comparison import Comparison
from artifactlab.comparing.model_comparison import ModelComparison

__all__ = ["Comparison", "ModelComparison", "compare", "compare_models"]
