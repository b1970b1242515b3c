"""Two of them: results before and after a remedy, or two variants of a model."""

from artifactlab.comparing.compare import Comparison, compare
from artifactlab.comparing.parting import ModelComparison
from artifactlab.comparing.variants import compare_models

__all__ = ["Comparison", "ModelComparison", "compare", "compare_models"]
