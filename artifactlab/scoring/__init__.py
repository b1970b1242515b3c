"""How bad images are: metrics of image files, gates that they must pass, and one number for a tensor.

`METRICS` has what is measured of an image file, by name; installed packages add to it.
"""

from artifactlab.scoring.gate_files import read_gates
from artifactlab.scoring.gates import Gate, GateFailure, parse_gate
from artifactlab.scoring.measures import METRICS, Metric
from artifactlab.scoring.objective import severity
from artifactlab.scoring.score import score_images, stored_scores
from artifactlab.scoring.score_report import ImageScore, ScoreReport
from artifactlab.scoring.tiles import Tile

__all__ = [
    "METRICS",
    "Gate",
    "GateFailure",
    "ImageScore",
    "Metric",
    "ScoreReport",
    "Tile",
    "parse_gate",
    "read_gates",
    "score_images",
    "severity",
    "stored_scores",
]
