"""The README's picture of the report: the demo's page as a browser shows it. Needs chromium and its driver.

`python benchmarks/report_picture.py`
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from selenium import webdriver

from artifactlab.demo.run import run_demo
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import report_page

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "report.png"
SIZE = {"width": 1180, "height": 1270, "deviceScaleFactor": 1, "mobile": False}


def main() -> None:
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    diagnosis, _ = run_demo()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(report_page(diagnosis, Invocation("artifactlab.demo.unet:broken")), encoding="utf-8")
        with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
            browser.get(page.as_uri())
            browser.save_screenshot(str(PICTURE))
    print(f"wrote {PICTURE.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
