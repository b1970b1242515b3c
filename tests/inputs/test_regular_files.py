"""What is no regular file is refused at once: nobody waits for a pipe, or reads a device to its end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from artifactlab import compare
from artifactlab.cli.main import main
from artifactlab.errors import InputError
from artifactlab.inputs.images import read_image
from artifactlab.inputs.regular_files import read_regular
from artifactlab.scoring.score import score_images

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
KINDS = {"pipe": "a named pipe", "device": "a device", "socket": "a socket", "link": "a named pipe", "folder": "a dir"}


@pytest.fixture
def odd(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A path named as an image, of the kind asked for."""
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    if request.param == "folder":
        Path("a.png").mkdir()
    elif request.param == "device":
        Path("a.png").symlink_to("/dev/zero")
    elif request.param == "socket":
        socket.socket(socket.AF_UNIX).bind("a.png")
    else:
        os.mkfifo("pipe")
        Path("a.png").symlink_to("pipe")
    return "a.png"


@pytest.mark.parametrize(("odd", "what"), KINDS.items(), indirect=["odd"])
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_what_is_no_regular_file_is_called_what_it_is(odd: str, what: str) -> None:
    with pytest.raises(OSError, match=r"(?i)" + what):
        read_regular(odd, 1000)


@pytest.mark.parametrize("odd", ["pipe", "device"], indirect=True)
def test_nothing_waits_for_it(odd: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read image 'a\.png': it is a"):
        read_image(odd)
    with pytest.raises(InputError, match=r"cannot read 'a\.png': it is a"):
        compare(odd, odd)
    result = CliRunner().invoke(main, ["lint", "--config", odd])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "cannot read the config 'a.png': it is a" in result.stderr


@pytest.mark.parametrize("odd", ["pipe", "device"], indirect=True)
def test_it_is_a_row_beside_the_others_in_a_folder(odd: str, tmp_path: Path) -> None:
    (row,) = score_images([tmp_path]).images
    assert "it is a" in (row.error or "")
