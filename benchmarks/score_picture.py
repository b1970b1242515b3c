"""The docs' picture of a page of scores: crops of a photo, some with a planted defect, as a browser shows them.

Needs chromium and its driver: `python benchmarks/score_picture.py`
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from selenium import webdriver
from skimage import data

from artifactlab.scoring import score_images

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "score.png"
WINDOW = {"width": 1400, "height": 1290, "deviceScaleFactor": 1, "mobile": False}
SIDE = 256
CLEAN = 24
GRID = 4.0
"""1/255 of white by which a planted grid goes up and down."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _write_images(Path(folder))
        page = Path(folder) / "report.html"
        report = score_images([Path(folder) / "outputs"], reference=Path(folder) / "photos")
        page.write_text(report.to_html().replace(folder + "/", ""), encoding="utf-8")
        _shoot(page)
    print(f"wrote {PICTURE.relative_to(Path.cwd())}")


def _write_images(folder: Path) -> None:
    """Crops as they are in photos/, and in outputs/ three of them with a defect."""
    rng = np.random.default_rng(0)
    photo = data.astronaut()[..., ::-1]
    for number in range(CLEAN):
        top, left = rng.integers(0, 512 - SIDE, 2)
        crop = photo[top : top + SIDE, left : left + SIDE]
        _write(folder / "photos" / f"{number:02}.png", crop)
        _write(folder / "outputs" / f"{number:02}.png", _damaged(crop, number))


def _damaged(crop: np.ndarray, number: int) -> np.ndarray:
    """A crop; number 7 in steps of 2, number 12 with a grid in one place, number 20 with one all over."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    board = GRID * (-1.0) ** (rows + columns)[..., None]
    place = (abs(rows - 96) < 48)[..., None] & (abs(columns - 150) < 48)[..., None]
    if number == 7:
        half = cv2.resize(crop, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
        return cv2.resize(half, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return crop + {12: board * place, 20: board}.get(number, 0.0)


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.clip(np.round(image), 0, 255).astype(np.uint8))


def _shoot(page: Path) -> None:
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", WINDOW)
        browser.get(page.as_uri())
        browser.save_screenshot(str(PICTURE))


if __name__ == "__main__":
    main()
