"""Which layer causes it: sites -> repair -> effects -> verdict, and causes that are no layer's lattice."""

from artifactlab.attribution.diagnose import diagnose
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import (
    DiagnoseSettings,
    Effect,
    Finding,
    JointStep,
    OutputMeasures,
    SiteDiagnosis,
    SliceMeasures,
)
from artifactlab.attribution.sites.capture import Capture, capture
from artifactlab.attribution.sites.records import CapturedSite, Evidence, Site

__all__ = [
    "Capture",
    "CapturedSite",
    "DiagnoseSettings",
    "Diagnosis",
    "Effect",
    "Evidence",
    "Finding",
    "JointStep",
    "OutputMeasures",
    "Site",
    "SiteDiagnosis",
    "SliceMeasures",
    "capture",
    "diagnose",
]
