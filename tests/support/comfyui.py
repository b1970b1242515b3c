"""As much of ComfyUI as a node package meets: its loader, what its API refuses, and how it runs nodes.

ComfyUI is no package that can be installed, so that the suite has this stand-in. It follows `comfy_api/latest/_io.py`
and `nodes.py` of its repository, and is stricter: it also refuses values that are none of their type, and runs a node
as its executor does, in inference mode.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch


class Socket:
    """An input or output of a type; `settings` are the keywords that the type takes."""

    type: str
    settings: frozenset[str]

    def __init__(self, id: str | None = None, **given: Any) -> None:
        if unknown := given.keys() - self.settings:
            raise TypeError(f"{self.type}: unexpected keyword {', '.join(sorted(unknown))}")
        self.id, self.given = id, given


class Input(Socket):
    def __init__(self, id: str, **given: Any) -> None:
        super().__init__(id, **given)


class Output(Socket):
    pass


OF_INPUTS = frozenset({"display_name", "optional", "tooltip", "lazy", "extra_dict"})
OF_WIDGETS = OF_INPUTS | {"default", "socketless", "force_input"}
OF_NUMBERS = OF_WIDGETS | {"min", "max", "step", "display_mode"}
OF_OUTPUTS = frozenset({"display_name", "tooltip", "is_output_list"})


def is_image(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 4 and value.shape[3] == 3 and value.dtype == torch.float32


TYPES = {
    "Image": ("IMAGE", OF_INPUTS, is_image),
    "UpscaleModel": ("UPSCALE_MODEL", OF_INPUTS, lambda value: True),
    "Vae": ("VAE", OF_INPUTS, lambda value: True),
    "Int": ("INT", OF_NUMBERS | {"control_after_generate"}, lambda value: type(value) is int),
    "Float": ("FLOAT", OF_NUMBERS | {"round"}, lambda value: type(value) is float),
    "String": ("STRING", OF_WIDGETS | {"multiline", "placeholder", "dynamic_prompts"}, lambda v: type(v) is str),
    "Boolean": ("BOOLEAN", OF_WIDGETS | {"label_on", "label_off"}, lambda value: type(value) is bool),
}
"""Names of types in `io`, what nodes call them, the keywords of their inputs, and what is of them."""
IS_OF_TYPE = {name: test for name, _, test in TYPES.values()}


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] | None = None
    outputs: list[Output] | None = None
    hidden: list[Any] | None = None
    description: str = ""
    is_output_node: bool = False
    names: list[str] = field(init=False, default_factory=list)

    def validate(self) -> None:
        ids = [socket.id for socket in [*(self.inputs or []), *(self.outputs or [])] if socket.id is not None]
        if twice := [name for name, count in Counter(ids).items() if count > 1]:
            raise ValueError(f"Ids must be unique, but {twice} are not.")
        for socket in self.inputs or []:
            assert isinstance(socket, Input), f"{socket} among the inputs"
        for socket in self.outputs or []:
            assert isinstance(socket, Output), f"{socket} among the outputs"


class ComfyNode(ABC):
    @classmethod
    @abstractmethod
    def define_schema(cls) -> Schema: ...

    @classmethod
    @abstractmethod
    def execute(cls, **inputs: Any) -> NodeOutput: ...


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args, self.ui = args, ui


class ComfyExtension(ABC):
    async def on_load(self) -> None:
        await asyncio.sleep(0)

    @abstractmethod
    async def get_node_list(self) -> list[type[ComfyNode]]: ...


class PreviewText:
    def __init__(self, value: str) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}


class ProgressBar:
    seen: list[tuple[int, int | None]] = []  # noqa: RUF012  # of all bars, for the tests

    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        self.seen.append((value, total))


def modules() -> dict[str, ModuleType]:
    """The modules that a node package imports, by name."""
    kinds = {
        name: SimpleNamespace(
            Input=type("Input", (Input,), {"type": kind, "settings": settings}),
            Output=type("Output", (Output,), {"type": kind, "settings": OF_OUTPUTS}),
        )
        for name, (kind, settings, _) in TYPES.items()
    }
    io = SimpleNamespace(Schema=Schema, ComfyNode=ComfyNode, NodeOutput=NodeOutput, **kinds)
    api = {"io": io, "ui": SimpleNamespace(PreviewText=PreviewText), "ComfyExtension": ComfyExtension}
    contents: dict[str, dict[str, Any]] = {
        "comfy_api": {},
        "comfy_api.v0_0_2": api,
        "comfy": {},
        "comfy.utils": {"ProgressBar": ProgressBar},
        "comfy.model_management": {"get_torch_device": lambda: torch.device("cpu")},
    }
    made = {name: ModuleType(name) for name in contents}
    for name, values in contents.items():
        vars(made[name]).update(values)
    return made


def load(folder: Path) -> dict[str, type[ComfyNode]]:
    """The nodes of a folder in `custom_nodes`, by id, loaded as ComfyUI does it: by its path, as no import would."""
    name = str(folder).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    extension = asyncio.run(module.comfy_entrypoint())
    assert isinstance(extension, ComfyExtension), f"{folder} did not return a ComfyExtension"
    asyncio.run(extension.on_load())
    nodes = asyncio.run(extension.get_node_list())
    assert isinstance(nodes, list), f"{folder} did not return a list of nodes"
    for node in nodes:
        assert issubclass(node, ComfyNode)
        assert node() is not None  # abstract where a method is missing
        node.define_schema().validate()
    return {node.define_schema().node_id: node for node in nodes}


def run(node: type[ComfyNode], **inputs: Any) -> NodeOutput:
    """What a node puts out, its inputs checked against its schema, and what it returns, too."""
    schema = node.define_schema()
    defaults = {s.id: s.given["default"] for s in schema.inputs if "default" in s.given}
    given = defaults | inputs
    needed = {socket.id for socket in schema.inputs if not socket.given.get("optional")}
    assert needed <= given.keys() <= {socket.id for socket in schema.inputs}
    for socket in schema.inputs:
        assert IS_OF_TYPE[socket.type](given[socket.id]), f"{socket.id} is no {socket.type}"
    assert not inspect.iscoroutinefunction(node.execute)
    with torch.inference_mode():
        result = node.execute(**given)
    assert isinstance(result, NodeOutput), f"invalid return type from node: {type(result)}"
    assert len(result.args) == len(schema.outputs)
    for socket, value in zip(schema.outputs, result.args, strict=True):
        assert IS_OF_TYPE[socket.type](value), f"{socket.given['display_name']} is no {socket.type}"
    assert result.ui is None or isinstance(result.ui.as_dict(), dict)
    return result
