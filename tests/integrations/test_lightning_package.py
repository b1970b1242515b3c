"""The monitor before any training: its argument, and which of the two packages it takes."""

from __future__ import annotations

from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning

from artifactlab import InputError
from artifactlab.integrations import lightning as integration
from artifactlab.integrations.lightning import ArtifactMonitor

PACKAGES = [lightning.pytorch, pytorch_lightning]


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "10"])
def test_steps_that_are_no_positive_integer_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="every_n_steps must be a positive integer"):
        ArtifactMonitor(every_n_steps=wrong)


def test_without_lightning_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install artifactlab\[lightning\]"):
        integration.callback_classes()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_one_of_the_two_packages_is_enough(package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "find_spec", lambda name: name == package.__name__.partition(".")[0] or None)
    assert integration.callback_classes() == (package.Callback,)
    assert issubclass(ArtifactMonitor, package.Callback)
