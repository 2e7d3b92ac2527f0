"""Many edits in one queue.

memory     what a server's process holds in memory while it draws them
clients    two that queue theirs at the same time
"""

import threading

import numpy as np
import psutil

from . import prompts

_EVERY = 10  # edits between two looks at the memory
_STEPS = 4  # of a sampler
_WARM = 0.2  # of the edits, before memory is expected to stay


def memory(server, model, count, every=_EVERY):
    """count edits, each with another seed and another word, all queued at once."""
    words = prompts.words(2 * count)
    edits = [prompts.edit(server, model, _STEPS, seed=n, source=words[2 * n], target=words[2 * n + 1])[0] for n in range(count)]
    process = psutil.Process(server.process.pid)
    seen, good = [(0, process.memory_info().rss / 2**20)], 0
    for done, number in enumerate([server.queue(prompt) for prompt in edits], 1):
        good += server.wait(number, 300, 0.02)["status"]["status_str"] == "success"
        if done % every == 0:
            seen.append((done, process.memory_info().rss / 2**20))
    warm = [(done, size) for done, size in seen if done > _WARM * count]
    slope = float(np.polyfit(*zip(*warm, strict=True), 1)[0]) if len(warm) > 1 else None
    return {
        "edits": count,
        "succeeded": good,
        "resident_mb": {str(done): round(size, 1) for done, size in seen},
        "mb_per_edit": None if slope is None else round(slope, 4),
    }


def clients(server, rounds):
    """Two clients with other words, seeds and models queue at the same time; alone, they got the pictures that are expected."""
    words = prompts.words(4 * rounds)
    orders = {
        model: [
            prompts.edit(server, model, _STEPS, seed=n + 1, source=words[4 * n + k], target=words[4 * n + k + 1])[0] for n in range(rounds)
        ]
        for model, k in (("unet", 0), ("mmdit", 2))
    }
    alone = {model: [server.pixels(server.run(prompt)) for prompt in mine] for model, mine in orders.items()}
    got, start = {}, threading.Barrier(len(orders))

    def client(model):
        start.wait()
        numbers = [server.queue(prompt) for prompt in orders[model]]
        got[model] = [server.pixels(server.wait(number, 300, 0.05)) for number in numbers]

    threads = [threading.Thread(target=client, args=(model,)) for model in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A client that failed has brought none.
    right = sum(bool(a) and a == b for model in orders for a, b in zip(alone[model], got.get(model, []), strict=False))
    return {"clients": len(orders), "edits": rounds * len(orders), "right_pictures": right}
