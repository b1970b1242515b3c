"""`artifactlab fix` as a user types it."""

from __future__ import annotations

import json
import shlex
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from artifactlab import load_model
from artifactlab.cli.main import main
from artifactlab.fix import Suggestions, distil, suggest
from artifactlab.fix.upsample import SubpixelUpsample
from artifactlab.fix.weights import read_replacements

DECODERS = Path(__file__).parents[1] / "fix" / "decoders.py"
GRIDDED = f"{DECODERS}:gridded"


def photos(folder: Path) -> None:
    """Some images of edges and slopes, in `photos`."""
    (folder / "photos").mkdir()
    across = np.linspace(-1, 1, 64)
    for k in range(2):
        edge = 1 / (1 + np.exp(-20 * (across[:, None] - (0.3 + 0.1 * k) * across)))
        cv2.imwrite(str(folder / "photos" / f"{k}.png"), (60 + 80 * edge + 20 * across).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photos."""
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with photos and what the plainest fix wrote, and what that said."""
    made = tmp_path_factory.mktemp("fixed")
    photos(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        return made, run(GRIDDED, "--gray", "--input", "photos", "-o", "fixed.safetensors")


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, ["fix", *arguments])


def schema(name: str) -> dict:
    return json.loads(resources.files("artifactlab").joinpath(f"schemas/{name}.json").read_text())


def test_the_offender_is_replaced_checked_written_and_loads_again(
    fixed: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, result = fixed
    monkeypatch.chdir(made)
    assert result.exit_code == 0, result.output
    assert "Replaced up: ConvTranspose2d" in result.stdout
    assert "Fixed: " in result.stdout
    assert "wrote fixed.safetensors" in result.stderr
    assert cv2.imread("fixed.fix.png").shape[1] == 1200
    assert [one.paths for one in read_replacements(made / "fixed.safetensors")] == [("up",)]
    arguments = [GRIDDED, "--checkpoint", "fixed.safetensors", "--gray", "--input", "photos", "--fail-on-offender"]
    assert CliRunner().invoke(main, ["diagnose", *arguments]).exit_code == 0


def test_the_json_validates_and_without_images_the_probes_are_used(folder: Path) -> None:
    result = run(GRIDDED, "--gray", "--crop", "64", "-o", "fixed.safetensors", "--format", "json", "--site", "up")
    data = json.loads(result.stdout)
    jsonschema.validate(data, schema("fix"))
    for diagnosis in (data["before"], data["after"]):
        jsonschema.validate(diagnosis, schema("diagnosis"))
    assert data["before"]["config"]["inputs"] == 4
    assert data["check"]["cured"]
    assert data["swaps"][0]["replacement"]["site"] == "up/conv_transpose2d#0"
    assert 0 < data["training"]["steps"] <= 60


def test_distilling_trains_the_new_layer_as_told_and_leaves_no_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(*arguments: Any, **settings: Any) -> Any:
        seen.append(settings["training"].lattice_weight)
        return distil(*arguments, **settings)

    monkeypatch.setattr("artifactlab.fix.pipeline.distil", watched)
    training = ["--distil", "photos", "--steps", "25", "--lattice-weight", "4"]
    new = ["--with", "subpixel", "--neighbours", "-o", "fixed.safetensors", "--format", "json"]
    result = run(GRIDDED, "--gray", "--input", "photos", *training, *new)
    data = json.loads(result.stdout)
    jsonschema.validate(data, schema("fix"))
    assert 0 < data["training"]["steps"] <= 25
    assert data["training"]["trained"] == ["up", "stem", "head"]
    assert data["swaps"][0]["replacement"]["mode"] == "subpixel"
    assert seen == [4.0]
    assert not list(folder.glob("*.resume"))


def test_a_cure_that_keeps_the_layer_is_a_file_of_the_old_architecture(folder: Path) -> None:
    result = run(GRIDDED, "--gray", "--input", "photos", "--with", "blur", "-o", "f.safetensors", "--format", "json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    jsonschema.validate(data, schema("fix"))
    assert data["swaps"][0]["replacement"]["mode"] == "blur"
    assert read_replacements(folder / "f.safetensors") == []
    made = load_model(GRIDDED, checkpoint=folder / "f.safetensors")
    assert str(made) == str(load_model(GRIDDED))


def test_the_output_is_filtered_where_no_layer_is_to_change(folder: Path) -> None:
    result = run(GRIDDED, "--gray", "--input", "photos", "--post", "-o", "f.safetensors")
    assert result.exit_code == 0, result.output
    assert "Filtered output by 5x5 taps" in result.stdout
    assert "Before and after filtering what up/conv_transpose2d#0 draws" in result.stdout
    assert cv2.imread("f.fix.png").shape[1] == 1200
    arguments = [GRIDDED, "--checkpoint", "f.safetensors", "--gray", "--input", "photos", "--fail-on-offender"]
    assert CliRunner().invoke(main, ["diagnose", *arguments]).exit_code == 0
    result = run(GRIDDED, "--gray", "--input", "photos", "--post", "-o", "f.safetensors", "--format", "json")
    data = json.loads(result.stdout)
    jsonschema.validate(data, schema("fix"))
    assert (data["swaps"], data["post"]["sizes"]) == ([], [5, 5])


def test_a_menu_of_cures_is_printed_and_each_command_of_it_can_be_typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Suggestions] = []

    def once(*arguments: Any, **settings: Any) -> Suggestions:
        assert settings["judging"].data_range is None  # it is found in the outputs, as the fix itself finds it
        measured.extend([] if measured else [suggest(*arguments, **settings)])
        return measured[0]

    monkeypatch.setattr("artifactlab.cli.suggesting.suggest", once)
    arguments = [GRIDDED, "--gray", "--input", "photos/0.png", "--suggest"]
    before = sorted(folder.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "What cures up/conv_transpose2d#0" in result.stdout
    assert "Recommended: " in result.stdout
    commands = [line for line in result.stdout.splitlines() if line.startswith("artifactlab fix ")]
    data = json.loads(run(*arguments, "--format", "json").stdout)
    jsonschema.validate(data, schema("suggestions"))
    assert [one["command"] for one in data["cures"]] == commands
    assert sorted(folder.rglob("*")) == before
    assert run(*shlex.split(commands[0])[2:]).exit_code == 0
    assert (folder / "fixed.safetensors").exists()


def test_a_fix_that_did_not_work_exits_with_1_and_says_why(folder: Path) -> None:
    result = run(
        f"{DECODERS}:Functional", "--gray", "--input", "photos", "--site", "interpolate#0", "-o", "f.safetensors"
    )
    assert result.exit_code == 2
    assert "nn.Upsample(scale_factor=2, mode='nearest')" in result.stderr
    result = run(
        GRIDDED, "--kwargs", '{"strength": 0.0}', "--gray", "--input", "photos", "--site", "up", "-o", "f.safetensors"
    )
    assert result.exit_code == 1
    assert "Nothing to fix" in result.stdout
    assert "up/conv_transpose2d#0 is clean" in result.stdout


def test_a_second_fix_keeps_the_first_in_the_file(folder: Path, fixed: tuple[Path, Result]) -> None:
    arguments = ["--checkpoint", str(fixed[0] / "fixed.safetensors"), "--gray", "--input", "photos", "--site", "up"]
    result = run(GRIDDED, *arguments, "--with", "subpixel", "-o", "twice.safetensors")
    assert result.exit_code == 1  # there was nothing left to fix
    twice = folder / "twice.safetensors"
    assert [made.mode for made in read_replacements(twice)] == ["interpolate_conv", "subpixel"]
    assert isinstance(load_model(GRIDDED, checkpoint=twice).up, SubpixelUpsample)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "fixed.pth"], "written as .safetensors"),
        (["-o", "no/such/fixed.safetensors"], "there is no folder"),
        (["-o", "f.safetensors", "--with", "gated"], "gated"),
        (["-o", "f.safetensors", "--site", "down"], "no site 'down'"),
        (
            ["-o", "f.safetensors", "--post", "--with", "blur", "--steps", "9"],
            "changes no layer; leave out --with, --steps",
        ),
        (["-o", "f.safetensors", "--suggest", "--distil", "photos"], "leave out -o, --distil"),
        ([], "Missing option '-o'"),
        (["-o", "f.safetensors", "--options", '{"wings": 2}'], "wings"),
        (["-o", "f.safetensors", "--checkpoint", "none.safetensors"], "no such file"),
    ],
)
def test_a_mistake_exits_with_2_and_writes_nothing(arguments: list[str], message: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = run(GRIDDED, "--gray", "--input", "photos", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(folder.iterdir()) == before


def test_several_sites_may_be_named_and_what_was_not_fixed_ends_with_the_next_command(folder: Path) -> None:
    arguments = ["--gray", "--input", "photos/0.png", "--site", "up1", "-o", "f.safetensors"]
    result = run(f"{DECODERS}:twofold", *arguments)
    assert result.exit_code == 1
    heading, command = result.stdout.splitlines()[-2:]
    assert heading == "Replace the other offenders, too:"
    words = ["--site", "up1/conv_transpose2d#0", "--site", "up2/conv_transpose2d#0"]
    typed = ["-o", "f.safetensors", "--input", "photos/0.png", "--gray"]
    assert shlex.split(command) == ["artifactlab", "fix", f"{DECODERS}:twofold", *typed, *words]


def test_without_inputs_a_part_of_what_is_trained_on_is_kept_to_judge_on(folder: Path) -> None:
    for k in range(2, 5):
        shutil.copy("photos/0.png", f"photos/{k}.png")
    training = ["--distil", "photos", "--steps", "1", "--budget", "60", "--site", "up"]
    result = run(GRIDDED, "--gray", *training, "-o", "f.safetensors", "--format", "json")
    data = json.loads(result.stdout)
    jsonschema.validate(data, schema("fix"))
    assert data["note"] == "Judged on 1 of the 5 inputs, trained on the others."
    assert data["before"]["config"]["inputs"] == 5  # one has too few crops to find a layer by
