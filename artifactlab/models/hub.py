"""Models on the Hugging Face Hub, fetched where a user says so: weights and descriptions, and no code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from artifactlab.errors import InputError, first_line, shown
from artifactlab.inputs.extras import extra
from artifactlab.models.diffusers_folder import DECODERS, PIPELINE
from artifactlab.models.model_folders import read_description

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}(@[\w./-]{1,200})?")
"""Owner, name, and a branch, a tag or a commit where one is meant."""
DESCRIPTIONS, WEIGHTS = "*.json", "*.safetensors"
"""What is fetched. Neither can hold code that runs: pickles and Python files stay where they are."""
ADD = "if it is the id of a model on the Hugging Face Hub, add --download"


def is_id(target: str) -> bool:
    """Whether a text has the form of an id, `owner/name` or `owner/name@revision`, and is no path of a file's form.

    >>> is_id("stabilityai/sd-vae-ft-mse@main"), is_id("weights/4x-foo.pth"), is_id("models.py:make")
    (True, False, False)
    """
    suffix = Path(target.partition("@")[0]).suffix[1:]
    return ID.fullmatch(target) is not None and not suffix.isalpha() and not Path(target).exists()


def downloaded(target: str, kwargs: Mapping[str, Any]) -> Path:
    """The folder of a model with an id, fetched unless it is in the cache of huggingface_hub already.

    Args:
        target: the id. Of a pipeline only the component that is judged is fetched.
        kwargs: what the user gives to the loader; `component` names that component.

    Raises:
        InputError: if it is no id, huggingface_hub is not installed, or the network or the Hub refuses.
    """
    if not is_id(target):
        what = "there is a file or folder of that name" if Path(target).exists() else "got another target"
        raise InputError(f"--download takes an id, as owner/name or owner/name@revision, not {shown(target)}: {what}")
    name, _, revision = target.partition("@")
    hub = extra("huggingface_hub", "hub", f"the id {target}")
    fetch = partial(hub.snapshot_download, name, revision=revision or None)
    try:
        folder = Path(fetch(allow_patterns=[DESCRIPTIONS]))
        return Path(fetch(allow_patterns=[DESCRIPTIONS, _weights(folder, kwargs.get("component"))]))
    except InputError:
        raise
    except Exception as error:  # of its own, of requests, of httpx, of sockets and of files
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"{target} cannot be fetched from the Hugging Face Hub ({reason})") from error


def _weights(folder: Path, wanted: object) -> str:
    """The pattern of the weights: all, or of a pipeline those of one component."""
    index = read_description(folder / PIPELINE)
    if index is None:
        return WEIGHTS
    found = wanted if wanted is not None else next((name for name in DECODERS if name in index), None)
    if not isinstance(found, str) or not found.isidentifier() or found not in index:
        names = ", ".join(name for name, value in index.items() if name.isidentifier() and isinstance(value, list))
        raise InputError(
            f"{folder} is a pipeline without {shown(found or DECODERS[0])}; give component in --kwargs: {names}"
        )
    return f"{found}/{WEIGHTS}"
