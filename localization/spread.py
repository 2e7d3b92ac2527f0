"""A sweep whose cells are drawn by several processes, GPUs or machines, through Ray (an optional dependency).

RaySweep    answers like Sweep; each question is cut into chunks of a few pairs, which workers answer

Every worker loads the model once. One that dies is started again and loses only the chunk it was at.
"""

from dataclasses import dataclass
from typing import Any

from .sweep import Sweep
from .worker import Worker

_CHUNK = 2  # pairs of one task
_RESTARTS = 3  # of one worker, before the search gives up


@dataclass
class RaySweep(Sweep):
    """load: "module:function" of this pack, and its arguments, which gives a worker (MODEL, CLIP, VAE); workers: how many; gpus: of each,
    which may be a fraction.

    Without a running cluster Ray starts one on this machine. Raises ImportError when Ray is not installed.
    """

    load: str = ""
    arguments: tuple = ()
    workers: int = 2
    gpus: float = 0

    def __post_init__(self):
        try:
            import ray
        except ImportError:
            raise ImportError("Ray, which spreads a search over workers, is not installed. Run: pip install ray") from None
        super().__post_init__()
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        pairs = [(pair.source, pair.target) for pair in self.pairs]
        setting = {**vars(self.drawing.setting)}
        actor = ray.remote(num_cpus=0, num_gpus=self.gpus, max_restarts=_RESTARTS, max_task_retries=_RESTARTS)(Worker)
        given = (self.load, self.arguments, pairs, setting, (self.ocr.name, self.ocr.language), str(self.folder))
        self.pool: list[Any] = [actor.remote(*given) for _ in range(self.workers)]

    def closeness(self, candidates, pairs, steps=1):
        candidates, pairs = list(candidates), list(pairs)
        self._spread("closeness", candidates, pairs, steps)
        return super().closeness(candidates, pairs, steps)

    def readings(self, candidates, pairs, steps=None):
        candidates, pairs = list(candidates), list(pairs)
        self._spread("readings", candidates, pairs, steps)
        return super().readings(candidates, pairs, steps)

    def _spread(self, kind, candidates, pairs, steps):
        import ray

        unanswered = [pair for pair in pairs if len(self.cells(kind, candidates, [pair], steps)) < len(set(candidates))]
        chunks = [unanswered[at : at + _CHUNK] for at in range(0, len(unanswered), _CHUNK)]
        running = {}
        free = list(self.pool)
        while chunks or running:
            while chunks and free:
                worker = free.pop()
                running[worker.answer.remote(kind, candidates, chunks.pop(0), steps)] = worker
            (done, *_), _ = ray.wait(list(running))
            free.append(running.pop(done))
            cells, calls = ray.get(done)
            self.drawing.model_calls += calls
            for key, result in cells.items():
                if self.store.get(key) is None:
                    self.computed += 1
                    self.store.put(key, result)
            self._tell(0)

    def close(self):
        import ray

        for worker in self.pool:
            ray.kill(worker)
        super().close()
