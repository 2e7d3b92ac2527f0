"""Nothing that was kept is lost: killed processes, damaged files, a full disk, several at once."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from text_layers.localization.cells import CellStore, tidy

pytestmark = pytest.mark.any_comfyui

WRITER = """
import sys, time
import numpy as np
from text_layers.localization.cells import CellStore
store = CellStore(sys.argv[1])
for number in range(int(sys.argv[2]), 100_000):
    key = f"{sys.argv[3]}{number}"
    if store.get(key) is None:
        store.put(key, {"read": "HOTEL" * 20, "number": number})
        store.put_array(key, np.full((4, 8, 8), number))
        print(number, flush=True)
"""


def writer(folder, start=0, name="a", **options):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start), name], stdout=subprocess.PIPE, text=True, **options
    )  # fmt: skip


def kept(folder, name="a"):
    """How many cells a new store finds, all of them right."""
    store = CellStore(folder)
    count = 0
    while (result := store.get(f"{name}{count}")) is not None:
        assert result == {"read": "HOTEL" * 20, "number": count}
        count += 1
    return count


def test_what_is_put_is_there_for_the_next_one(tmp_path):
    store = CellStore(tmp_path)
    store.put("a", {"read": "HOTEL", "psnr": None})
    store.put_array("a", np.arange(12).reshape(3, 4))
    again = CellStore(tmp_path)
    assert again.get("a") == {"read": "HOTEL", "psnr": None} and again.get("b") is None and len(again) == 1
    assert np.array_equal(again.get_array("a"), np.arange(12).reshape(3, 4)) and again.get_array("b") is None


def test_a_process_killed_at_any_moment_loses_only_its_running_cell(tmp_path):
    rng = random.Random(0)
    before = 0
    for _ in range(10):
        process = writer(tmp_path)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        told = [int(line) for line in process.communicate()[0].split() if line.isdigit()]
        now = kept(tmp_path)
        assert now >= before and (not told or now >= max(told))
        before = now
    store = CellStore(tmp_path)
    whole = [store.get_array(f"a{number}") for number in range(before)]
    assert all(array is None or (array == number).all() for number, array in enumerate(whole))
    assert sum(array is None for array in whole) <= 10


def test_damaged_files_are_computed_again_and_harm_nothing_else(tmp_path):
    store = CellStore(tmp_path)
    for number in range(3):
        store.put(f"a{number}", {"read": "HOTEL" * 20, "number": number})
        store.put_array(f"a{number}", np.full(5, number))
    (path,) = tmp_path.glob("*.cells")
    data = path.read_bytes()
    path.write_bytes(data[:-30])  # cut off in the last line
    (tmp_path / "a0.latent").write_bytes((tmp_path / "a0.latent").read_bytes()[:-1])
    (tmp_path / "a1.latent").write_bytes(b"")
    (tmp_path / "other.cells").write_bytes(b"\x00\xff" * 1000)
    assert kept(tmp_path) == 2
    again = CellStore(tmp_path)
    assert again.get_array("a0") is None and again.get_array("a1") is None and (again.get_array("a2") == 2).all()
    path.write_bytes(data.replace(b"HOTEL", b"HOTAL", 1))  # another letter in the first line
    assert CellStore(tmp_path).get("a0") is None and CellStore(tmp_path).get("a1") is not None


def test_what_others_put_meanwhile_is_read_when_it_is_asked_for(tmp_path):
    one, other = CellStore(tmp_path), CellStore(tmp_path)
    for number in range(2):
        one.put(f"a{number}", number)
        assert other.get(f"a{number}") is None
        other.refresh()
        assert other.get(f"a{number}") == number
    other.put("b", 1)
    one.refresh()
    assert one.get("b") == 1 and len(one) == len(other) == 3


def test_an_unreadable_file_is_left_out(tmp_path):
    store = CellStore(tmp_path)
    store.put("a0", {"read": "HOTEL" * 20, "number": 0})
    (tmp_path / "folder.cells").mkdir()
    assert kept(tmp_path) == 1


def test_two_processes_share_a_folder(tmp_path):
    processes = [writer(tmp_path, name=name) for name in ("a", "b")]
    for process in processes:
        process.stdout.readline()
    time.sleep(0.5)
    for process in processes:
        process.kill()
    for name, process in zip("ab", processes, strict=True):
        told = [0, *(int(line) for line in process.communicate()[0].split())]
        assert kept(tmp_path, name) >= max(told)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of a process's files")
def test_a_full_disk_stops_keeping_but_not_the_search(tmp_path):
    """The system refuses to let files of this process grow past 2,000 bytes."""
    script = """
    import resource, sys
    import numpy as np
    from text_layers.localization.cells import CellStore
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    store = CellStore(sys.argv[1])
    for number in range(100):
        store.put(f"a{number}", {"read": "HOTEL" * 20, "number": number})
    store.put_array("large", np.ones(1000))
    assert all(store.get(f"a{number}") for number in range(100)) and store.get_array("large").sum() == 1000
    assert "could not be kept" in store.problem, store.problem
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 0 < kept(tmp_path) < 100 and not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_made_stops_keeping_but_not_the_search(tmp_path):
    (tmp_path / "file").write_text("")
    store = CellStore(tmp_path / "file" / "cells")
    store.put("a", {"read": "HOTEL"})
    store.put_array("a", np.ones(3))
    assert store.get("a") and store.get_array("a").sum() == 3 and "could not be kept" in store.problem


def test_old_searches_make_room_and_the_running_one_stays(tmp_path):
    for days, name in enumerate(("today", "yesterday", "last week", "long ago")):
        store = CellStore(tmp_path / name)
        store.put_array("a", np.zeros(1000))
        then = time.time() - 30 * days * 3600
        for path in (*(tmp_path / name).iterdir(), tmp_path / name):
            os.utime(path, (then, then))
    size = sum(path.stat().st_size for path in (tmp_path / "today", *(tmp_path / "today").iterdir()))

    def left():
        return {path.name for path in tmp_path.iterdir()}

    tidy(tmp_path, 4 * size)
    assert len(left()) == 4
    tidy(tmp_path, 2 * size)
    assert left() == {"today", "yesterday"}
    tidy(tmp_path, 0)
    assert left() == {"today"}  # whoever searches there may go on
    tidy(tmp_path / "none")
