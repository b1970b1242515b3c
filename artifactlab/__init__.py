"""Find the decoder layer that draws stair-steps or checkerboards, and get rid of them.

In the order of the pipeline: `lint` reads defects off weights and structure, `capture` lists the upsampling sites of a
running model, `diagnose` says which of them causes the artifact in the output, `score_images` says how bad images are,
`compare` whether a remedy worked, `compare_models` where two variants of a model part. `severity` is what to minimise,
`Monitor` what a training loop logs.
"""

from typing import TYPE_CHECKING

import artifactlab._interrupts  # noqa: F401  # first, as what is imported later takes seconds
from artifactlab._lazy import LazyPackage
from artifactlab.registry import announce

if TYPE_CHECKING:
    from artifactlab._version import __version__ as __version__
    from artifactlab.attribution.diagnose import diagnose
    from artifactlab.attribution.diagnosis import Diagnosis
    from artifactlab.attribution.records import Effect, SiteDiagnosis
    from artifactlab.attribution.sites.capture import Capture, capture
    from artifactlab.attribution.sites.records import Evidence, Site
    from artifactlab.comparing.compare import compare
    from artifactlab.comparing.compare_models import compare_models
    from artifactlab.comparing.comparison import Comparison
    from artifactlab.comparing.model_comparison import ModelComparison
    from artifactlab.errors import ArtifactLabError, CaptureError, InputError, ModelError
    from artifactlab.inputs.images import read_image
    from artifactlab.inputs.probes import make_probe
    from artifactlab.integrations.monitor import Monitor
    from artifactlab.lint import LintFinding, lint
    from artifactlab.models.factory import load_model
    from artifactlab.scoring.objective import severity
    from artifactlab.scoring.score import score_images

announce(
    "artifactlab.views",
    page="artifactlab.report.page:report_page",
    figure="artifactlab.report.figures:plot_diagnosis",
    maps="artifactlab.report.figures:plot_maps",
    comparison_page="artifactlab.report.compare_page:compare_page",
    score_page="artifactlab.report.score_page:score_page",
    diagnosis_card="artifactlab.report.notebook_cards:diagnosis_card",
    score_card="artifactlab.report.notebook_cards:score_card",
    comparison_card="artifactlab.report.notebook_cards:comparison_card",
    suggestions_card="artifactlab.report.suggestions_table:suggestions_card",
)
announce("artifactlab.engines", ray="artifactlab.scoring.ray_data:on_ray")
announce("artifactlab.inputs", tensors="artifactlab.models.tensor_files:TENSORS")
announce(
    "artifactlab.models",
    diffusers="artifactlab.models.diffusers_folder:DIFFUSERS",
    exported="artifactlab.models.exported_program:EXPORTED",
    keras="artifactlab.models.keras_file:KERAS",
    monai="artifactlab.models.monai_bundle:MONAI",
    onnx="artifactlab.models.onnx_file:ONNX",
    smp="artifactlab.models.smp_folder:SMP",
    spandrel="artifactlab.models.spandrel_file:SPANDREL",
    torchscript="artifactlab.models.torchscript:TORCHSCRIPT",
    transformers="artifactlab.models.transformers_folder:TRANSFORMERS",
)
announce(
    "artifactlab.back",
    weights="artifactlab.fix.back_weights:weights_back",
    spandrel="artifactlab.fix.back_weights:weights_back",
    diffusers="artifactlab.fix.back_folder:diffusers_back",
    transformers="artifactlab.fix.back_folder:transformers_back",
    exported="artifactlab.fix.back_graphs:exported_back",
    onnx="artifactlab.fix.back_onnx:onnx_back",
    torchscript="artifactlab.fix.back_graphs:torchscript_back",
)
announce("artifactlab.checkpoints", replacements="artifactlab.fix.weights:install_from")

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
    "Monitor",
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

LazyPackage.made_of(
    __name__,
    places={
        "__version__": "artifactlab._version",
        "ArtifactLabError": "artifactlab.errors",
        "Capture": "artifactlab.attribution.sites.capture",
        "CaptureError": "artifactlab.errors",
        "Comparison": "artifactlab.comparing.comparison",
        "Diagnosis": "artifactlab.attribution.diagnosis",
        "Effect": "artifactlab.attribution.records",
        "Evidence": "artifactlab.attribution.sites.records",
        "InputError": "artifactlab.errors",
        "LintFinding": "artifactlab.lint",
        "ModelComparison": "artifactlab.comparing.model_comparison",
        "ModelError": "artifactlab.errors",
        "Monitor": "artifactlab.integrations.monitor",
        "Site": "artifactlab.attribution.sites.records",
        "SiteDiagnosis": "artifactlab.attribution.records",
        "capture": "artifactlab.attribution.sites.capture",
        "compare": "artifactlab.comparing.compare",
        "compare_models": "artifactlab.comparing.compare_models",
        "diagnose": "artifactlab.attribution.diagnose",
        "lint": "artifactlab.lint",
        "load_model": "artifactlab.models.factory",
        "make_probe": "artifactlab.inputs.probes",
        "read_image": "artifactlab.inputs.images",
        "score_images": "artifactlab.scoring.score",
        "severity": "artifactlab.scoring.objective",
    },
    packages=(
        "attribution",
        "comparing",
        "errors",
        "fix",
        "inputs",
        "integrations",
        "metrics",
        "models",
        "report",
        "scoring",
    ),
)
