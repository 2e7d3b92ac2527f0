"""Tests run against a real ComfyUI (dev.py puts it on the path), on the GPU where there is one."""

import os
import sys
from pathlib import Path

import comfyui_version
import pytest
import torch
from comfy.cli_args import args

# ComfyUI has modules of the same names as our folders, so the checkout itself must not be on the path.
ROOT = Path(__file__).parents[1]
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != ROOT]

args.cpu = not torch.cuda.is_available()

ORACLE = Path(__file__).parent / "oracle"


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_comfyui(version): what is tested came into ComfyUI by this version")


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs_comfyui"):
        if _numbers(comfyui_version.__version__) < _numbers(marker.args[0]):
            pytest.skip(f"needs ComfyUI {marker.args[0]}, this is {comfyui_version.__version__}")


def _numbers(version):
    return tuple(map(int, version.split(".")))


@pytest.fixture(scope="session")
def comfyui_path():
    return Path(os.environ["COMFYUI_PATH"])


@pytest.fixture(scope="module")
def sdxl():
    from text_layers.benchmarks import oracle_fixture

    return oracle_fixture.load("sdxl", ORACLE / "sdxl")


@pytest.fixture(scope="module")
def sd3():
    from text_layers.benchmarks import oracle_fixture

    return oracle_fixture.load("sd3", ORACLE / "sd3")


@pytest.fixture(scope="module", params=["sdxl", "sd3"])
def oracle(request):
    """Each of the tiny models, with its inputs."""
    return request.getfixturevalue(request.param)
