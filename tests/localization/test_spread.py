"""A search spread over workers by Ray gives the result of one process, also when a worker is killed."""

import os
import signal
import threading

import pytest
from text_layers.benchmarks.localization import setting
from text_layers.demo import comfy_model
from text_layers.localization.drawing import Drawing
from text_layers.localization.pairs import WordPair
from text_layers.localization.spread import RaySweep
from text_layers.localization.sweep import Sweep
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui

PAIRS = [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT"), WordPair("NORTH", "SOUTH"), WordPair("BREAD", "MILK")]


def test_a_killed_worker_changes_nothing(tmp_path):
    ray = pytest.importorskip("ray")
    candidates = [(layer, other) for layer in range(8) for other in range(layer)]
    model = comfy_model.load("mmdit")
    alone = Sweep(Drawing(*model, PAIRS, setting(0, 8)), engine("RapidOCR"), tmp_path / "alone")
    wanted = alone.closeness(candidates, range(4))
    spread = RaySweep(
        Drawing(*model, PAIRS, setting(0, 8)), engine("RapidOCR"), tmp_path / "spread", load="demo.comfy_model:load", arguments=("mmdit",)
    )
    try:
        first, second = ray.get([worker.process.remote() for worker in spread.pool])
        assert first != second != os.getpid()
        killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
        killer.start()
        found = spread.closeness(candidates, range(4))
        killer.join()
        assert ray.get(spread.pool[0].process.remote()) not in (first, second)
        read = spread.readings([(0, 1)], range(4))
    finally:
        spread.close()
        ray.shutdown()
    for layers, values in wanted.items():
        assert found[layers] == pytest.approx(values, abs=1e-3)  # workers use one thread: another order of float operations
    assert [r.read for r in read[(0, 1)]] == [r.read for r in alone.readings([(0, 1)], range(4))[(0, 1)]]
