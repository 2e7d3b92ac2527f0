"""From `git clone` to the first edited picture in the browser: seconds of each step, and clicks.

python dev.py run benchmarks.server.first_run --out FILE.json

The pack is cloned from this checkout, and ComfyUI with its packages is the one that is here: downloads are left out. A browser then does
what README.md says: Templates, the pack, the first template, Run.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from ...testing import browser
from ...testing.comfy_server import FOLDER, ROOT, running
from ..record import environment

TEMPLATE = "Change text in a picture - demo U-Net"
_PATIENCE = 600_000  # milliseconds


class Steps:
    """Seconds of each, in their order."""

    def __init__(self):
        self.seconds, self._last = {}, time.perf_counter()

    def done(self, name):
        now = time.perf_counter()
        self.seconds[name], self._last = round(now - self._last, 1), now
        print(f"{name}: {self.seconds[name]} s", flush=True)


def click(page, target):
    target.click(timeout=_PATIENCE)
    page.wait_for_timeout(300)  # no hand is quicker
    return 1


def first_picture(page):
    """Clicks of a user who has the page before him, until an edited picture is shown."""
    clicks = click(page, page.get_by_role("button", name="Templates").first)
    clicks += click(page, page.get_by_text(FOLDER, exact=True).first)
    clicks += click(page, page.get_by_role("dialog").get_by_text(TEMPLATE, exact=True).first)
    page.get_by_test_id("linear-widgets").locator("textarea").first.wait_for(timeout=_PATIENCE)
    yield "the template", clicks
    skip = page.get_by_role("button", name="Skip")  # a tour, once
    clicks = click(page, skip) if skip.count() else 0
    clicks += click(page, page.get_by_role("button", name="Run", exact=True).locator("visible=true"))
    drawn = "[...document.images].some(i => i.src.includes('keep-edit') && i.naturalWidth >= 512)"
    page.wait_for_function(drawn, timeout=_PATIENCE)
    yield "the picture", clicks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    clicks = 0
    with tempfile.TemporaryDirectory() as base:
        base = Path(base)
        (base / "custom_nodes").mkdir()
        steps = Steps()
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(base / "custom_nodes" / FOLDER)], check=True)
        steps.done("git clone")
        with running(os.environ["COMFYUI_PATH"], base) as server, browser.launched() as chromium:
            steps.done("start of ComfyUI")
            with chromium.new_context(viewport={"width": 1600, "height": 950}) as context:
                page = context.new_page()
                page.goto(server.url, timeout=_PATIENCE)
                page.wait_for_function("window.app?.graph && window.app?.extensionManager", timeout=_PATIENCE)
                steps.done("the page")
                for name, more in first_picture(page):
                    clicks += more
                    steps.done(name)
    result = {
        **environment(),
        "cores": os.cpu_count(),
        "processes_that_wanted_a_core": round(os.getloadavg()[0], 1),
        "seconds": steps.seconds,
        "total_seconds": round(sum(steps.seconds.values()), 1),
        "clicks": clicks,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['total_seconds']} s, {clicks} clicks")


if __name__ == "__main__":
    main()
