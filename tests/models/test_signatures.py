"""What other people's functions take, whatever their annotations name."""

from __future__ import annotations

import sys
from typing import Any

from artifactlab.models.signatures import signature_of

LATE = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"
"""what leaves annotations unevaluated, as Python 3.14 does by itself"""


def test_annotations_that_name_what_only_type_checkers_import_stay_text() -> None:
    names: dict[str, Any] = {}
    exec(LATE + "def forward(x: Absent, scale: Absent = 2): ...", names)
    x, scale = signature_of(names["forward"]).parameters.values()
    assert x.annotation == scale.annotation == "Absent"
    assert scale.default == 2
