"""Result files.

environment   what each says of the machine and the code that made it
commit        of a checkout
kept          those in results/, which the documents quote
"""

import json
import platform
import subprocess
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def kept(name):
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def environment():
    import comfyui_version
    import torch

    return {
        "commit": commit(Path(__file__).parent),
        "processor": _processor(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "comfyui": comfyui_version.__version__},
    }


def commit(folder):
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip() or None


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
