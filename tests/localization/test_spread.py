"""A search spread over workers by Ray gives the result of one process, whatever befalls its workers."""

import json
import threading
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from text_layers.benchmarks.localization.searches import setting
from text_layers.demo import comfy_model
from text_layers.localization import spread as module
from text_layers.localization.drawing import Drawing
from text_layers.localization.pairs import WordPair
from text_layers.localization.spread import RaySweep
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Sweep
from text_layers.scoring.ocr import engine
from text_layers.testing import without_backward

pytestmark = pytest.mark.any_comfyui
ray = pytest.importorskip("ray")

PAIRS = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT"), WordPair("NORTH", "SOUTH"), WordPair("BREAD", "MILK")]
CANDIDATES = [(layer, other) for layer in range(8) for other in range(layer)]
KILLS = 4


@pytest.fixture(scope="module")
def demo():
    return comfy_model.load("mmdit")


@pytest.fixture(scope="module")
def alone(demo, tmp_path_factory):
    """What one process answers: closeness, slopes and readings."""
    sweep = Sweep(Drawing(*demo, PAIRS, setting(0, 8)), engine("RapidOCR"), tmp_path_factory.mktemp("alone"))
    return sweep.closeness(CANDIDATES, range(4)), sweep.slopes((), (0.5,), range(4)), sweep.readings([(0, 1)], range(4))


@pytest.fixture(scope="module")
def nodes():
    """A cluster on this machine: a head without room for workers, and two nodes with room for one each."""
    from ray.cluster_utils import Cluster

    settings = {"num_cpus": 1, "num_gpus": 0, "include_dashboard": False, "_system_config": module._AS_IMPORTANT}
    cluster = Cluster(initialize_head=True, head_node_args=settings)
    both = [cluster.add_node(num_cpus=1, num_gpus=1) for _ in range(2)]
    ray.init(cluster.address, log_to_driver=False)
    yield cluster, both
    ray.shutdown()
    cluster.shutdown()


def spread_over(demo, folder, workers, **options):
    given = {"load": "demo.comfy_model:load", "arguments": ("mmdit",), "workers": workers, "gpus": 1} | options
    return RaySweep(Drawing(*demo, PAIRS, setting(0, 8)), engine("RapidOCR"), folder, **given)


def workers_of(node):
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    found = []
    for child in raylet.children():
        with suppress(psutil.Error):  # it ends meanwhile
            found += [child] if any("ray::Worker" in part for part in child.cmdline()) else []
    return found


def kept(folder):
    """{key: how many processes have kept the cell}"""
    lines = [line.split(b" ", 1)[1] for path in folder.rglob("*.cells") for line in path.read_bytes().split(b"\n") if b" " in line]
    return Counter(json.loads(line)[0] for line in lines)


class Blows(threading.Thread):
    """First the second node is killed, then the worker of the first, KILLS times: the first time when it has kept something more, then
    while it starts, which takes less time."""

    def __init__(self, nodes, folder):
        super().__init__(daemon=True)
        (self.cluster, (self.first, self.second)), self.folder = nodes, folder
        self.killed, self.ended = [], threading.Event()

    def run(self):
        seen, gone = 0, False
        while len(self.killed) < KILLS and not self.ended.wait(0.05):
            now = sum(path.stat().st_size for path in self.folder.rglob("*.cells"))
            if now == seen and not self.killed:
                continue
            if not gone:
                self.cluster.remove_node(self.second, allow_graceful=False)
                gone = True
            elif fresh := [worker for worker in workers_of(self.first) if worker.pid not in self.killed]:
                fresh[0].kill()
                self.killed.append(fresh[0].pid)
            else:
                continue
            seen = now


@pytest.mark.long
@pytest.mark.timeout(1800)  # every worker loads torch and ComfyUI, which takes a minute on a busy machine
def test_a_killed_node_and_a_worker_that_is_killed_again_and_again_change_nothing(demo, alone, nodes, tmp_path):
    """More often than Ray itself restarted it. What was kept is not drawn again, nor are slopes and readings drawn here."""
    close, slopes, read = alone
    spread = spread_over(demo, tmp_path, 2)
    own = []
    draw = spread.drawing.draw
    spread.drawing.draw = lambda *given: own.append(given) or draw(*given)
    blows = Blows(nodes, tmp_path)
    blows.start()
    try:
        found = spread.closeness(CANDIDATES, range(4))
        blows.ended.set()
        blows.join()
        assert len(blows.killed) == KILLS
        for layers, values in close.items():
            assert found[layers] == pytest.approx(values, abs=1e-3)  # a batch of other rows: another order of float operations
        assert spread.slopes((), (0.5,), range(4)) == pytest.approx(slopes, abs=1e-3)
        assert [r.read for r in spread.readings([(0, 1)], range(4))[(0, 1)]] == [r.read for r in read[(0, 1)]]
    finally:
        blows.ended.set()
        spread.close()
    counted = kept(tmp_path)
    assert not own and len(counted) == len(CANDIDATES) * 4 + 4 + 4 and set(counted.values()) == {2}, "by one worker, and by this process"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_workers_that_have_no_gradient_answer_the_next_question(nodes, tmp_path):
    """All of them say so, and the search goes on by bisection."""
    loaded = without_backward.load()
    spread = spread_over(loaded, tmp_path, 2, load="testing.without_backward:load", arguments=(), gpus=0)
    try:
        ranking = STRATEGIES["gradients"](spread)
    finally:
        spread.close()
    assert "no backward pass" in ranking.note and "bisection" in ranking.note and set(ranking.order[:2]) <= {0, 1, 2}


def test_a_full_disk_changes_nothing(demo, alone, nodes, tmp_path):
    (tmp_path / "file").write_text("")
    spread = spread_over(demo, tmp_path / "file" / "cells", 1)
    try:
        found = spread.closeness(CANDIDATES[:4], range(2))
    finally:
        spread.close()
    assert "could not be kept" in spread.store.problem
    for layers, values in found.items():
        assert values == pytest.approx(alone[0][layers][:2], abs=1e-3)


def test_another_model_on_a_worker_is_refused(demo, nodes, tmp_path):
    spread = spread_over(demo, tmp_path, 1, arguments=("unet",))
    try:
        with pytest.raises(ValueError, match="A worker has another model and another text encoder and another settings than"):
            spread.closeness(CANDIDATES[:1], range(1))
    finally:
        spread.close()


def test_workers_that_never_start_end_the_search(demo, nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_DEATHS", 2)
    ended = threading.Event()

    def kill():
        while not ended.wait(0.05):
            for node in nodes[1]:
                with suppress(psutil.Error, KeyError, IndexError):  # a node, or a worker, that is gone
                    for worker in workers_of(node):
                        worker.kill()

    spread = spread_over(demo, tmp_path, 1)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        started = time.monotonic()
        with pytest.raises(RuntimeError, match="2 workers were lost while they loaded the model"):
            spread.closeness(CANDIDATES[:1], range(1))
        assert time.monotonic() - started < 300
    finally:
        ended.set()
        spread.close()
