"""Find the decoder layer that draws stair-steps or checkerboards, and get rid of them.

In the order of the pipeline: `lint` reads defects off weights and structure, `capture` lists the upsampling sites of a
running model, `diagnose` says which of them causes the artifact in the output, `score_images` says how bad images are,
`compare` whether a remedy worked, `compare_models` where two variants of a model part. `severity` is what to minimise.
"""

from artifactlab.capture import Capture, capture
from artifactlab.compare import Comparison, compare
from artifactlab.diagnose import diagnose
from artifactlab.errors import ArtifactLabError, CaptureError, InputError, ModelError
from artifactlab.images import read_image
from artifactlab.lint import LintFinding, lint
from artifactlab.models import load_model
from artifactlab.probes import make_probe
from artifactlab.records import Diagnosis, Effect, Evidence, Site, SiteDiagnosis
from artifactlab.score import score_images
from artifactlab.severity import severity
from artifactlab.variants import ModelComparison, compare_models

__all__ = [
    "ArtifactLabError",
    "Capture",
    "CaptureError",
    "Comparison",
    "Diagnosis",
    "Effect",
    "Evidence",
    "InputError",
    "LintFinding",
    "ModelComparison",
    "ModelError",
    "Site",
    "SiteDiagnosis",
    "capture",
    "compare",
    "compare_models",
    "diagnose",
    "lint",
    "load_model",
    "make_probe",
    "read_image",
    "score_images",
    "severity",
]
