"""Tests run against a real ComfyUI (dev.py puts it on the path), on the GPU where there is one."""

import gc
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

LONGEST = ("server", "localization", "install", "demo")  # folders whose files are begun first, so that no worker is left alone with one
# Files that share a worker, and with it what takes long to start: a browser and a server of each front end, or a server.
PAGES = ("apps", "browser", "by_hand", "foreign_text", "layer_map", "oldest_front_end", "said", "subgraphs")
SHARED = {f"server/test_{name}.py": "pages" for name in PAGES}
SHARED |= {f"server/test_{name}.py": "server" for name in ("asked", "locales", "schema", "server")}
ORACLE = Path(__file__).parent / "oracle"

# For the everyday loop: the paper's tensors, a second implementation and one of each mechanism, the schemas, and all that computes little.
QUICK = (
    "patching/test_oracle.py", "patching/test_against_diffusers.py", "patching/test_against_hooks.py", "patching/test_attention.py",
    "patching/test_beside_the_text.py", "patching/test_text_layers.py", "patching/test_storage.py", "patching/test_paths.py",
    "localization/test_strategies.py", "localization/test_selection.py", "localization/test_pairs.py",
    "lora/test_dataset.py", "lora/test_load.py", "lora/test_numbers.py", "lora/test_storage.py", "lora/test_peft.py",
    "guard/test_drawn_text.py", "guard/test_reading.py", "scoring/test_text.py", "scoring/test_image.py", "scoring/test_toxicity.py",
    "nodes/test_checked.py", "nodes/test_inputs.py", "server/test_schema.py",
    "test_docs.py", "test_security.py", "test_style.py", "test_workflows.py",
)  # fmt: skip


# And of what asks ComfyUI for much.
OLDEST = (
    "server/test_oldest_front_end.py", "server/test_server.py", "patching/test_every_family.py", "patching/test_families.py",
    "patching/test_swap.py",
)  # fmt: skip


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="those tests that take little, half of them")
    parser.addoption("--oldest", action="store_true", help="the quick ones, every family and the front end: for the oldest ComfyUI")
    parser.addoption("--long", action="store_true", help="the long tests as well, which show again what shorter ones do, in another way")


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_comfyui(version): what is tested came into ComfyUI by this version")
    config.addinivalue_line("markers", "long: shows at another size, by another way or in another front end what shorter tests do")
    config.addinivalue_line("markers", "any_comfyui: ComfyUI's version makes no difference; run with 0.30 and newer alone")


def pytest_ignore_collect(collection_path, config):
    some = QUICK * config.getoption("--quick") or (QUICK + OLDEST) * config.getoption("--oldest")
    if some and collection_path.name.startswith("test_"):
        return collection_path.relative_to(ROOT / "tests").as_posix() not in some or None
    return None


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    order = {folder: number for number, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(LONGEST)))


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not, nothing is shared out
def pytest_xdist_make_scheduler(config, log):
    """A file is run by one worker, and so are those of SHARED together. (xdist's own groups do not reach pytest 9.2: every test is shared
    out by itself there, and each worker starts all servers.)"""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return SHARED.get(file.removeprefix("tests/"), file)

    return Scheduling(config, log)


def pytest_collection_finish():
    """ComfyUI collects garbage with most samplings, and each time would look through the 600,000 objects that imports have made: a third of
    a second, and more than half of what the tests of the patching took."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs_comfyui"):
        if _older_than(marker.args[0]):
            pytest.skip(f"needs ComfyUI {marker.args[0]}, this is {comfyui_version.__version__}")
    if item.get_closest_marker("any_comfyui") and _older_than("0.30"):
        pytest.skip("is the same on every ComfyUI: run with 0.30 and newer")


def _older_than(version):
    this, other = (tuple(map(int, numbers.split("."))) for numbers in (comfyui_version.__version__, version))
    return this < other


@pytest.fixture(scope="session")
def comfyui_path():
    return Path(os.environ["COMFYUI_PATH"])


@pytest.fixture(scope="module")
def sdxl():
    from text_layers.testing import oracle_fixture

    return oracle_fixture.load("sdxl", ORACLE / "sdxl")


@pytest.fixture(scope="module")
def sd3():
    from text_layers.testing import oracle_fixture

    return oracle_fixture.load("sd3", ORACLE / "sd3")


@pytest.fixture(scope="module", params=["sdxl", "sd3"])
def oracle(request):
    """Each of the tiny models, with its inputs."""
    return request.getfixturevalue(request.param)
