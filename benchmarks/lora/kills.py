"""Is anything lost when a training is killed? Does it go on as if it had not been?

`python dev.py run benchmarks.lora.kills --kills 60 --out FILE.json`

The command trains a LoRA on a demo model and is killed at random moments, again and again, each time going on with what is there:

SIGTERM     as clusters and containers send it
SIGKILL     the process ends at once
full disk   the folder's disk is filled at a random moment, then SIGTERM
read-only   the folder becomes read-only at a random moment, then SIGTERM

Each training has a disk of its own, a tmpfs, so that this runs as root on Linux alone. lost: steps that were done and not saved. What comes
out in the end is compared with a training that was never stopped. Each run is a fork of one process that has loaded all modules, so that
a start takes seconds.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import accelerate
import peft
import torch
import tqdm
from PIL import Image

from ...demo import comfy_model
from ...demo.text_set import text_set
from ...lora import command, dataset, train
from ...lora.run import Run
from ...lora.state import ENDING, read
from ..record import environment

KINDS = ("SIGTERM", "SIGKILL", "full disk", "read-only")
_DISK = 4_000_000  # bytes


class Training:
    """arguments: of the command, without --out and --resume; folder: for all of it. The disk is mounted at folder/disk, everything else
    that the command may write to lies beside it."""

    def __init__(self, folder, arguments, every):
        self.folder, self.every = folder, every
        self._arguments = [*arguments, "--save-every", str(every)]
        self.disk, self.elsewhere = folder / "disk", folder / "elsewhere"
        self.out = self.disk / "mine.safetensors"
        self.disk.mkdir(parents=True)
        self.elsewhere.mkdir()
        mount("-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", self.disk)
        self._resume = None

    def close(self):
        subprocess.run(["umount", "-l", self.disk], check=True)

    def run(self, kind=None, after=0.0):
        """Goes on with what is there; `kind` strikes after so many seconds. Returns (exit status, what was said, steps that were done)."""
        resume = ["--resume", str(self._resume)] if self._resume else ["--resume"]
        log, (steps, told) = self.folder / "log", os.pipe()
        child = os.fork()
        if not child:
            _child([*self._arguments, "--out", str(self.out), *resume], log, told, self.elsewhere)
        os.close(told)
        try:
            if kind:
                _wait(child, after)
                self._strike(kind, child)
            status = _ended(child)
        finally:
            with open(steps, "rb") as file:
                done = file.read()
        self._mend()
        numbers = re.findall(rb"\d+", done)
        return status, log.read_text("utf-8", "replace"), int(numbers[-1]) if numbers else 0

    def _strike(self, kind, child):
        if kind == "full disk":
            with contextlib.suppress(OSError), (self.disk / "others").open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
        elif kind == "read-only":
            mount("-o", "remount,ro", self.disk)
        if kind in ("full disk", "read-only"):
            _wait(child, random.uniform(0, 2))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL if kind == "SIGKILL" else signal.SIGTERM)

    def _mend(self):
        mount("-o", "remount,rw", self.disk)
        (self.disk / "others").unlink(missing_ok=True)

    def saved(self):
        """The step to go on from, which is that of the newest file."""
        found = {path: read(path).step for folder in (self.disk, self.elsewhere) for path in folder.glob(f"*{ENDING}")}
        self._resume = max(found, key=found.get, default=None)
        return found.get(self._resume, 0)

    def lora(self):
        paths = [
            path for folder in (self.disk, self.elsewhere) for path in folder.glob("mine*.safetensors") if "interrupted" not in path.name
        ]
        return paths[0].read_bytes() if paths else None


LOADED = (accelerate, peft, tqdm, comfy_model, dataset, train)  # which the command imports when it needs them


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The disk of a training could not be mounted: {done.stderr.strip()}")


def _child(arguments, log, told, cwd):
    """Never returns."""
    status = 1
    try:
        os.chdir(cwd)
        os.environ["HOME"] = os.environ["TMPDIR"] = str(cwd)
        tempfile.tempdir = str(cwd)
        with log.open("wb") as file:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
        update = Run.update

        def telling(self):
            update(self)
            os.write(told, b"%d " % len(self.losses))

        Run.update = telling
        sys.argv = ["command", *arguments]
        command.main()
        status = 0
    except SystemExit as error:
        print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child, seconds):
    """Ends early when the child does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.005)


def _ended(child):
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def kill(training, kind, after):
    """One kill, as a row of the result; None when the training was finished before it."""
    before = training.saved()
    status, said, done = training.run(kind, after)
    if status == 0:
        return None
    saved, done = training.saved(), max(done, before)
    row = {"kind": kind, "after": round(after, 2), "status": status, "step": done, "lost": done - saved}
    if status not in (-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM):
        row["said"] = said[-2000:]  # nothing of the kind should be
    return row


def pictures(folder, count):
    folder.mkdir()
    for number, (picture, caption) in enumerate(zip(*text_set(["CAFE", "HOTEL", "BOX"], count, seed=1), strict=True)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption)


def content(data):
    """A LoRA file without its date."""
    from safetensors.torch import load

    return {name: tensor.tolist() for name, tensor in load(data).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("unet", "mmdit"), default="unet")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--every", type=int, default=3, help="steps between two saves")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    random.seed(a.seed)
    torch.set_num_threads(1)  # of a fork no other is there
    result = {**environment(), "model": a.model, "steps": a.steps, "every": a.every, "kills": [], "trainings": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pictures(folder / "pictures", 4)
        settings = f"--demo {a.model} --steps {a.steps} --seed 3 --learning-rate 1e-3 --accumulation 2 --schedule cosine --warmup 3"
        settings = [*settings.split(), "--caption-dropout", "0.2", "--pictures", str(folder / "pictures")]
        with contextlib.closing(Training(folder / "whole", settings, a.every)) as whole:
            began = time.monotonic()
            status, said, _ = whole.run()
            if status:
                raise SystemExit(said)
            longest, wanted = time.monotonic() - began, content(whole.lora())
        while len(result["kills"]) < a.kills:
            number = len(result["trainings"])
            with contextlib.closing(Training(folder / str(number), settings, a.every)) as training:
                kills = 0
                while len(result["kills"]) < a.kills:
                    kind = a.kinds[len(result["kills"]) % len(a.kinds)]
                    row = kill(training, kind, random.uniform(0, longest * max(0.2, 1 - training.saved() / a.steps)))
                    if row is None:
                        break
                    kills += 1
                    result["kills"].append({"training": number, **row})
                    print(result["kills"][-1], flush=True)
                status = 0 if training.lora() else training.run()[0]
                equal = status == 0 and content(training.lora()) == wanted
                result["trainings"].append({"kills": kills, "finished": status == 0, "equal": equal})
                print(result["trainings"][-1], flush=True)
    result["summary"] = summary(result)
    a.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["summary"]))


def summary(result):
    kills = result["kills"]
    return {
        "kills": dict(Counter(row["kind"] for row in kills)),
        "most_lost": {
            kind: max(row["lost"] for row in kills if row["kind"] == kind) for kind in KINDS if any(r["kind"] == kind for r in kills)
        },
        "in_the_middle": sum(0 < row["step"] < result["steps"] for row in kills),
        "unexpected": sum("said" in row for row in kills),
        "trainings": len(result["trainings"]),
        "equal": sum(row["equal"] for row in result["trainings"]),
    }


if __name__ == "__main__":
    main()
