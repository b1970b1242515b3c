"""A stand-in for transformers: its ways of saving, loading and naming outputs, in small."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn, optim, stack


class DPTForDepthEstimation(nn.Module):
    """Depth (N, H, W) of images at half their size, and features that are no picture."""

    main_input_name = "pixel_values"

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 6, 3, 2, 1)
        self.up = nn.ConvTranspose2d(6, 1, 2, 2)

    def save_pretrained(self, folder: Path, **changed: Any) -> None:
        described = {"architectures": [type(self).__name__], "model_type": "dpt", **changed}
        (folder / "config.json").write_text(json.dumps(described))
        save_file(self.state_dict(), folder / "model.safetensors")

    @classmethod
    def from_pretrained(
        cls, folder: str, *, local_files_only: bool, output_loading_info: bool, use_safetensors: bool
    ) -> Any:
        assert local_files_only
        assert use_safetensors
        model = cls()
        missing = model.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=False).missing_keys
        return model.eval(), {"missing_keys": missing}

    def forward(self, pixel_values: Tensor) -> Any:
        features = self.down(pixel_values)
        return SimpleNamespace(predicted_depth=self.up(features).squeeze(1), hidden_states=features, logits=None)


class HifiGan(DPTForDepthEstimation):
    """A model whose input is no image."""

    main_input_name = "spectrogram"


class TrainerCallback:
    """Does nothing at all of a trainer's events that are told here."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None: ...
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None: ...
    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None: ...
    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None: ...
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None: ...
    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None: ...


class TrainingArguments(SimpleNamespace):
    """The settings of a training, which is of one epoch in the order of the data."""


class Trainer:
    """Trains as the real one does: the same events in the same order, and a log that takes the wish to log for done."""

    def __init__(self, model: nn.Module, args: TrainingArguments, train_dataset: Any) -> None:
        self.model, self.args, self.data = model, args, train_dataset
        self.state = SimpleNamespace(global_step=0, log_history=[])
        self.control = SimpleNamespace(should_log=False)
        self.callbacks: list[TrainerCallback] = []

    def add_callback(self, callback: TrainerCallback) -> None:
        self.callbacks.append(callback)

    def log(self, logs: dict[str, float]) -> None:
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self.control.should_log = False
        self._tell("on_log", logs=logs)

    def train(self) -> None:
        optimizer = optim.AdamW(self.model.parameters(), self.args.learning_rate)
        size, several = self.args.per_device_train_batch_size, self.args.gradient_accumulation_steps
        batches = [self.data[start : start + size] for start in range(0, len(self.data), size)]
        self._tell("on_train_begin")
        for number, examples in enumerate(batches):
            if number % several == 0:
                self.control.should_log = False
                self._tell("on_step_begin")
            inputs = {name: stack([example[name] for example in examples]) for name in examples[0]}
            loss = self.training_step(self.model, inputs, None)
            if (number + 1) % several:
                self._tell("on_substep_end")
                continue
            optimizer.step()
            optimizer.zero_grad()
            self.state.global_step += 1
            self.control.should_log = self.state.global_step % self.args.logging_steps == 0
            self._tell("on_step_end")
            if self.control.should_log:
                self.log({"loss": float(loss)})
        self._tell("on_train_end")

    def training_step(self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: int | None) -> Tensor:
        loss = model.train()(**inputs)["loss"] / self.args.gradient_accumulation_steps
        loss.backward()
        return loss.detach()

    def _tell(self, event: str, **more: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self.args, self.state, self.control, model=self.model, **more)
