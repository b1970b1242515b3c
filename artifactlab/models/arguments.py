"""What a model's forward takes, and whether a call gives it: said before anything runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from inspect import Parameter

from torch import nn

from artifactlab.errors import InputError, ModelError, shown
from artifactlab.models.calls import Call
from artifactlab.models.signatures import signature_of
from artifactlab.models.torch_internals import forward_pre_hooks
from artifactlab.models.wrappers import unwrap

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
ANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
STARS: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
"""What stands before the name of a parameter that takes any number."""


def forward_parameters(model: nn.Module) -> Mapping[str, Parameter] | None:
    """The parameters of a model's forward by name; None where only running it tells, as with hooks that change them."""
    try:
        inside = unwrap(model)
        if forward_pre_hooks(inside):
            return None
        return signature_of(inside.forward).parameters
    except (TypeError, ValueError, ModelError):  # built in, or nothing that can be watched, of which others complain
        return None


def check_arguments(model: nn.Module, calls: Sequence[Call]) -> None:
    """Raise an InputError for the first call that lacks an argument of forward, or has one that it does not take."""
    parameters = forward_parameters(model)
    for call in calls:
        problem = misfit(parameters, call) if parameters is not None else ""
        if problem:
            raise InputError(problem)


def misfit(parameters: Mapping[str, Parameter], call: Call) -> str:
    """Why a call does not fit a signature, and what to give instead; empty where it fits."""
    by_position = [name for name, parameter in parameters.items() if parameter.kind in BY_POSITION]
    given = by_position[: len(call.args)]
    takes = f"it takes {signature_text(parameters)}"
    unknown = [name for name in call.kwargs if not takes_by_name(parameters, name)]
    if unknown:
        return f"the model's forward has no argument {shown(unknown[0])}; {takes}"
    twice = [name for name in call.kwargs if name in given]
    if twice:
        return f"{twice[0]} of the model's forward is given by position and by name; {takes}"
    if len(call.args) > len(by_position) and not any(p.kind == Parameter.VAR_POSITIONAL for p in parameters.values()):
        return f"the model's forward was given {len(call.args)} arguments by position; {takes}"
    missing = [
        parameter
        for name, parameter in parameters.items()
        if parameter.default is Parameter.empty and parameter.kind not in ANY and name not in {*given, *call.kwargs}
    ]
    if not missing:
        return ""
    also = "also needs" if call.args or call.kwargs else "needs"
    typed = " ".join(f"--arg {parameter.name}={_example(parameter)}" for parameter in missing)
    return (
        f"the model's forward {also} {', '.join(map(parameter_text, missing))}; give {typed}, or in Python a dict of"
        " all arguments as the input"
    )


def parameter_text(parameter: Parameter) -> str:
    """A parameter as it stands in the source, without its default."""
    if parameter.annotation is Parameter.empty:
        return parameter.name
    return f"{parameter.name}: {annotation_text(parameter)}"


def annotation_text(parameter: Parameter) -> str:
    """An annotation as it stands in the source; empty where there is none."""
    if parameter.annotation is Parameter.empty:
        return ""
    text = parameter.annotation
    text = text if isinstance(text, str) else inspect.formatannotation(text)
    return re.sub(r"\b(?:torch|typing)\.", "", text)


def signature_text(parameters: Mapping[str, Parameter]) -> str:
    """All parameters, those that have a default with it."""
    texts = []
    for parameter in parameters.values():
        stars = STARS.get(parameter.kind, "")
        default = "" if parameter.default is Parameter.empty else f" = {shown(parameter.default)}"
        texts.append(f"{stars}{parameter_text(parameter)}{default}")
    return ", ".join(texts) or "nothing"


def takes_by_name(parameters: Mapping[str, Parameter], name: str) -> bool:
    """Whether there is an argument of a name, to be given by it."""
    if any(parameter.kind == Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return True
    return name in parameters and parameters[name].kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _example(parameter: Parameter) -> str:
    """A value that could be typed for a parameter, by its annotation and its name."""
    words = set(re.findall(r"\w+", annotation_text(parameter)))
    if "int" in words or parameter.name in ("t", "timestep", "timesteps"):
        return "500"
    if words & {"LongTensor", "IntTensor"}:
        return '"[0]"'
    if "float" in words:
        return "0.5"
    if "bool" in words:
        return "true"
    return "TEXT" if "str" in words else f"@{parameter.name}.safetensors"
