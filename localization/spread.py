"""A sweep whose cells are drawn by several processes, GPUs or machines, through Ray (an optional dependency).

RaySweep    answers like Sweep; each question is cut into chunks of a few pairs, which workers answer

Every worker loads the model once. In the place of one that dies, with its machine or alone, another is started where there is room, and
what it was at is asked again: what it had kept on a disk that is still there is not drawn again.
"""

import logging
import math
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths

from ..patching.messages import NoGradient
from .sweep import Sweep

_CHUNK = 2  # pairs of one task
_DEATHS = 6  # of workers at the same chunk, or before one has loaded the model, after which the search gives up
_OVER = ()  # in the place of a chunk whose question has failed
_PATIENCE = 60  # seconds without a worker, after which it is said
_AS_IMPORTANT = {"worker_niceness": 0}  # as this process, which waits for them: Ray's own 15 leaves them next to nothing of a busy machine


@dataclass
class RaySweep(Sweep):
    """load: "module:function" of this pack, and its arguments, which gives a worker (MODEL, CLIP, VAE); workers: how many; gpus: of each,
    which may be a fraction; address: of a running cluster, whose machines have ComfyUI, this pack and the model at the same places. Without
    one Ray starts on this machine.

    Raises ImportError when Ray is not installed, ValueError when a worker has another model or version than this process, RuntimeError
    when workers die again and again.
    """

    load: str = ""
    arguments: tuple = ()
    workers: int = 2
    gpus: float = 0
    address: str | None = None

    def __post_init__(self):
        try:
            import ray
        except ImportError:
            raise ImportError("Ray, which spreads a search over workers, is not installed. Run: pip install ray") from None
        super().__post_init__()
        if not ray.is_initialized():
            if self.address:
                ray.init(self.address, log_to_driver=False)
            else:
                ray.init(include_dashboard=False, log_to_driver=False, _system_config=_AS_IMPORTANT)
        self._running: dict[Any, Any] = {}  # answer that is awaited -> (worker, chunk, None while it starts, or _OVER)
        self._deaths: Counter = Counter()
        self.pool = [self._start() for _ in range(self.workers)]

    def closeness(self, candidates, pairs, steps=1):
        candidates, pairs = list(candidates), list(pairs)
        self._spread("closeness", pairs, candidates, steps)
        return super().closeness(candidates, pairs, steps)

    def slopes(self, base, weights, pairs):
        pairs = list(pairs)
        if self._no_gradient is None:
            try:
                self._spread("slopes", pairs, base, tuple(weights))
            except NoGradient as reason:
                self._no_gradient = NoGradient(*reason.args)
        return super().slopes(base, weights, pairs)

    def readings(self, candidates, pairs, steps=None):
        candidates, pairs = list(candidates), list(pairs)
        self._spread("readings", pairs, candidates, steps)
        return super().readings(candidates, pairs, steps)

    def _spread(self, kind, pairs, asked, how):
        chunks = [(kind, *chunk, how) for chunk in self._chunks(kind, pairs, asked, how)]
        if not chunks:
            return
        try:
            self._ask(chunks)
        except Exception:  # what the other workers are at belongs to no question any more, and its errors to no later one
            self._running = {answer: (worker, chunk and _OVER) for answer, (worker, chunk) in self._running.items()}
            raise

    def _ask(self, chunks):
        waiting, free, told = list(reversed(chunks)), self._free(), time.monotonic()
        while waiting or any(chunk for _, chunk in self._running.values()):
            while waiting and free:
                worker, chunk = free.pop(), waiting.pop()
                self._running[worker.answer.remote(*chunk)] = worker, chunk
            done = self._wait()
            if done is None and len(self._starting()) == self.workers and time.monotonic() > told + _PATIENCE:
                told = time.monotonic()
                logging.warning("Text layers: no worker has started yet; is there room in the cluster for one with %s GPUs?", self.gpus)
            if done is None:
                continue
            worker, chunk = self._running.pop(done)
            answer = self._answer(done, worker, chunk)
            if answer is None:
                waiting += [chunk] if chunk else []
                continue
            free.append(worker)
            if chunk is None:
                del self._deaths[repr(None)]
                self._compare(answer)
            elif answer is not _OVER:
                self._take(*answer)

    def _chunks(self, kind, pairs, asked, how):
        """[(pairs, what is asked of them)] Readings of fewer pairs than there are workers are cut by candidates as well, which share
        nothing."""
        pairs = self.unanswered(kind, pairs, asked, how)
        size = min(_CHUNK, max(1, math.ceil(len(pairs) / self.workers)))
        parts = [asked]
        if kind == "readings" and 0 < len(pairs) < self.workers:
            share = math.ceil(len(asked) / math.ceil(self.workers / len(pairs)))
            parts = [asked[at : at + share] for at in range(0, len(asked), share)]
        return [(pairs[at : at + size], part) for at in range(0, len(pairs), size) for part in parts]

    def _start(self):
        import ray

        # What is here on the path of this process, for workers on machines that Ray's own processes were started on from elsewhere.
        package = __name__.rsplit(".", 2)[0]
        root = Path(__file__).parents[1 + len(package.split("."))]
        path = os.pathsep.join(dict.fromkeys([folder_paths.base_path, str(root), *filter(None, [os.environ.get("PYTHONPATH")])]))
        from .worker import Worker

        environment = {"env_vars": {"PYTHONPATH": path}}
        worker: Any = ray.remote(num_cpus=0, num_gpus=self.gpus, runtime_env=environment)(Worker).remote()
        pairs = [(pair.source, pair.target) for pair in self.pairs]
        setting = {**vars(self.drawing.setting)}
        assert self.folder is not None  # by which workers share what they keep
        given = (self.load, self.arguments, pairs, setting, (self.ocr.name, self.ocr.language), str(Path(self.folder).absolute()))
        self._running[worker.start.remote(*given)] = worker, None
        return worker

    def _starting(self):
        return [worker for worker, chunk in self._running.values() if chunk is None]

    def _free(self):
        at_work = [worker for worker, _ in self._running.values()]
        return [worker for worker in self.pool if not any(worker is other for other in at_work)]

    def _wait(self):
        """An answer that is there, or None after a second."""
        import ray

        comfy.model_management.throw_exception_if_processing_interrupted()
        done, _ = ray.wait(list(self._running), timeout=1)
        return done[0] if done else None

    def _answer(self, done, worker, chunk):
        """None where the worker was lost; another stands in its place then. _OVER for an error that nobody asks for any more."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return ray.get(done)
        except RayTaskError as error:
            if chunk is _OVER:
                return _OVER
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except RayError as error:
            where = repr(chunk)
            self._deaths[where] += chunk is not _OVER
            if self._deaths[where] == _DEATHS:
                what = f"at the word pairs {', '.join(str(pair + 1) for pair in chunk[1])}" if chunk else "while they loaded the model"
                raise RuntimeError(
                    f"{_DEATHS} workers were lost {what}, one after another: {str(error).splitlines()[0]} Has each of them enough memory? "
                    "What was found is kept: run it again with fewer workers, or a smaller batch."
                ) from None
            logging.warning("Text layers: a worker was lost (%s); another is started.", str(error).splitlines()[0])
            ray.kill(worker)
            self.pool = [other for other in self.pool if other is not worker]
            self.pool.append(self._start())
            return None

    def _take(self, cells, calls, rows, problem):
        self.drawing.model_calls += calls
        self.drawing.fits = self.drawing.rows = min(self.drawing.rows, rows)  # on the worker, chosen or found out
        self.store.problem = self.store.problem or problem
        for key, cell in cells.items():
            if self.store.get(key) is None:
                self.computed += 1
                self.store.put(key, cell)
                self._met.add(key)
        self._tell(0)

    def _compare(self, parts):
        others = [part for part, own in self.parts.items() if parts[part] != own]
        if others:
            raise ValueError(
                f"A worker has another {' and another '.join(others)} than this process, so that their answers cannot be put together. "
                "Each machine needs the same ComfyUI, pack and files at the same places, and a GPU of the kind that this one has: "
                "precision depends on it."
            )

    def close(self):
        import ray

        for worker in self.pool:
            ray.kill(worker)
        super().close()
