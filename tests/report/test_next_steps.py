"""What the report says to do next: commands that the program understands, and code that runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import by_hand
import click
import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.cli.main import main
from artifactlab.report.next_steps import Invocation, commands_after, next_steps

CALLED = Invocation(
    "my models.py:make",
    factory=("--kwargs", '{"a": 1}'),
    checkpoint=("--checkpoint", "w.pth"),
    running=("--range", "-1,1"),
    inputs=("--input", "my photos/"),
    folder="out",
)


def images() -> list[Tensor]:
    return [torch.rand(1, 1, 48, 40, generator=torch.Generator().manual_seed(k)) for k in range(2)]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """One site, whose grid reaches the output."""
    torch.manual_seed(0)
    return nn.Sequential(nn.ConvTranspose2d(1, 1, 3, 2, padding=1, output_padding=1), nn.Sigmoid())


@pytest.fixture(scope="module")
def diagnosis(model: nn.Module) -> Diagnosis:
    return artifactlab.diagnose(model, images(), data_range=1.0)


def commands(diagnosis: Diagnosis, called: Invocation) -> list[list[str]]:
    offender = diagnosis.offenders[0]
    lines = [line for step in next_steps(diagnosis, offender, called) for line in step.command.splitlines()]
    return [shlex.split(line) for line in lines]


def test_the_commands_are_the_program_s_own_and_repeat_what_was_typed(
    diagnosis: Diagnosis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands(diagnosis, CALLED)
    assert [words[:2] for words in found] == [
        ["artifactlab", name] for name in ("lint", "fix", "fix", "diagnose", "compare")
    ]
    program = click.Context(main, info_name="artifactlab", **main.context_settings)
    for _, name, *arguments in found:
        # parses, or raises a usage error
        with main.commands[name].make_context(name, list(arguments), parent=program) as context:
            if name in ("fix", "diagnose"):
                assert context.params["target"] == "my models.py:make"
                assert context.params["inputs"] == ("my photos/",)
                assert context.params["value_range"] == "-1,1"
                assert context.params["kwargs"] == {"a": 1}
    assert found[-1][2] == "out/diagnosis.json"


@pytest.mark.parametrize("called", [CALLED, None])
def test_the_code_runs_on_the_model_and_inputs_that_were_diagnosed(
    model: nn.Module,
    diagnosis: Diagnosis,
    called: Invocation | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/diagnosis.json").write_text(diagnosis.to_json())
    batch = torch.rand(1, 1, 32, 32)
    known: dict[str, Any] = {
        "artifactlab": artifactlab,
        **({} if called else {"diagnosis": diagnosis}),  # who typed a command has a file
        "model": model,
        "inputs": images(),
        "images": None,  # the closed form; training is tested elsewhere
        "batch": batch,
        "target": torch.rand(1, 1, 64, 64),
        "your_loss": nn.functional.l1_loss,
    }
    codes = [step.code for step in next_steps(diagnosis, diagnosis.offenders[0], called)]
    assert len(codes) == (5 if called else 4)
    for code in codes:
        exec(code, known)
    assert known["loss"].requires_grad


def test_the_terminal_says_what_to_type_next_with_the_images_that_are_known(diagnosis: Diagnosis) -> None:
    typed = [shlex.split(command) for _, command in commands_after(diagnosis, CALLED)]
    assert [words[1] for words in typed] == ["lint", "fix", "fix"]
    assert typed[1][-1] == "--suggest"
    assert typed[2][typed[2].index("--distil") + 1] == "my photos/"
    two = replace(CALLED, inputs=("--input", "a.png", "--input", "b.png"))
    assert commands_after(diagnosis, two)[2][1].count("--distil") == 2
    assert commands_after(replace(diagnosis, sites=()), CALLED) == []


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("suspect", "Make sure first"),
        ("compensated", "Leave it alone"),
        ("clean", "Nothing to do"),
        ("harmless", "Nothing to do"),
    ],
)
def test_a_site_that_is_no_offender_is_not_to_be_replaced(diagnosis: Diagnosis, verdict: Any, words: str) -> None:
    (step,) = next_steps(diagnosis, replace(diagnosis.sites[0], verdict=verdict), CALLED)
    assert words in step.title
    assert step.command == step.code == ""


@pytest.mark.parametrize(
    ("made", "layout"), [(by_hand.a_signal, "NCL"), (by_hand.a_volume, "NCDHW"), (by_hand.a_video, "NCTHW")]
)
def test_of_a_volume_the_layout_is_repeated_and_full_keys_are_there_to_paste(
    made: Callable[[], Diagnosis], layout: str
) -> None:
    found = made()
    key = found.sites[0].site.key
    steps = next_steps(found, found.sites[0], CALLED)
    assert f"layout={layout!r}" in steps[-1].code
    fix = next(shlex.split(step.command) for step in steps if step.command.startswith("artifactlab fix"))
    assert fix[fix.index("--site") + 1] == key
    assert repr(key) in next(step.code for step in steps if "fix_site" in step.code)
    assert not any("images" in step.text + step.code or "IMAGES" in step.command for step in steps)
