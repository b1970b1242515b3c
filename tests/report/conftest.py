"""The page of a diagnosis, opened in a real browser where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import report_page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
LONG = ("--input", "/a/rather/long/path/to/a/folder/of/photographs/that/does/not/fit/into/a/narrow/window/")


class LongNamed(nn.Module):
    """Two sites with names as long as they get."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.the_decoder_of_the_generator_s_second_stage = nn.Sequential(
            nn.ConvTranspose2d(1, 4, 3, 2, padding=1, output_padding=1),
            nn.Conv2d(4, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.the_decoder_of_the_generator_s_second_stage(x).sigmoid()


@pytest.fixture(scope="session")
def long_named() -> Diagnosis:
    images = [torch.rand(1, 1, 40, 48, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    return artifactlab.diagnose(LongNamed(), images, data_range=1.0)


@pytest.fixture(scope="session")
def address(long_named: Diagnosis, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_page(long_named, Invocation("models.py:make", inputs=LONG)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e '.[test]'")
    if not (BROWSER and DRIVER):
        pytest.skip("no browser here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def emulate(browser: Any) -> Callable[..., None]:
    """A function that sets the width in pixels, the colour scheme and the medium that pages are drawn for."""

    def set_features(width: int, scheme: str = "light", media: str = "") -> None:
        size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    return set_features


@pytest.fixture
def open_page(browser: Any, emulate: Callable[..., None]) -> Callable[[str], Any]:
    """A function that opens an address afresh, 1200 pixels wide, in the light, and waits until its scripts have run."""
    from selenium.webdriver.support.ui import WebDriverWait

    def opened(address: str) -> Any:
        browser.get("about:blank")
        emulate(1200, "light")
        browser.get(address)
        # On a loaded machine the driver was seen to return while the page was still blank.
        loaded = "return document.readyState === 'complete' && location.href === arguments[0]"
        WebDriverWait(browser, 60).until(lambda page: page.execute_script(loaded, address))
        return browser

    return opened


@pytest.fixture
def page(open_page: Callable[[str], Any], address: str) -> Any:
    return open_page(address)
