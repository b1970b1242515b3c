"""All architectures of the benchmark."""

from __future__ import annotations

import architectures_denoisers
import architectures_diffusers
import architectures_medical
import architectures_spandrel
import architectures_transformers
import architectures_voices

ARCHITECTURES = [
    *architectures_diffusers.ARCHITECTURES,
    *architectures_denoisers.ARCHITECTURES,
    *architectures_transformers.ARCHITECTURES,
    *architectures_voices.ARCHITECTURES,
    *architectures_medical.ARCHITECTURES,
    *architectures_spandrel.ARCHITECTURES,
]
