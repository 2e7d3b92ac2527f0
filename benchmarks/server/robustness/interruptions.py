"""Interruptions at random moments of everything that takes long.

interrupt     some of them, one after another -> a dict for the result file
"""

import random
import statistics
import time

from . import prompts

_LATEST = 3  # seconds after the beginning


def interrupt(server, count, seed):
    """After each the same edit is drawn as before the first; its pictures must be the same to the bit."""
    chooser, kinds = random.Random(seed), _kinds(server)
    references = {model: prompts.edit(server, model, 4, seed=77) for model in ("unet", "mmdit")}
    before = {model: server.pixels(server.run(prompt)) for model, (prompt, _) in references.items()}
    found = {kind: [] for kind in kinds}
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        model, make = kinds[kind]
        stopped = _interrupt(server, make(chooser.randrange(2**32)), chooser.uniform(0, _LATEST))
        prompt, (source, edit) = references[model]
        for value in prompt.values():
            if value["class_type"] == "KSampler":
                value["inputs"]["drawn again"] = number  # no input of that node, so that all it does is to make ComfyUI run it
        entry = server.run(prompt)
        cached = {node for what, data in entry["status"]["messages"] if what == "execution_cached" for node in data["nodes"]}
        stopped["same"] = server.pixels(entry) == before[model] and not {source, edit} & cached
        found[kind].append(stopped)
    return {kind: _summary(runs) for kind, runs in found.items() if runs} | {
        "all": _summary([run for runs in found.values() for run in runs])
    }


def _kinds(server):
    """{name: (demo model, function of a seed that makes a prompt)}; each would take minutes."""
    of = prompts.of_nodes(server)

    def other(class_type, **inputs):
        prompt, node = of[class_type]
        prompt = {n: value | {"inputs": dict(value["inputs"])} for n, value in prompt.items()}
        prompt[node]["inputs"] |= inputs
        for value in prompt.values():
            if value["class_type"] == "BasicScheduler":
                value["inputs"]["steps"] = 1000
        return prompt

    pairs = "\n".join(f"{a}, {b}" for a, b in zip(prompts.words(200)[::2], prompts.words(200)[1::2], strict=True))
    return {
        "edit, U-Net": ("unet", lambda seed: prompts.edit(server, "unet", 3000, seed)[0]),
        "edit, MMDiT": ("mmdit", lambda seed: prompts.edit(server, "mmdit", 3000, seed)[0]),
        "localization": ("unet", lambda seed: other("TextLayersLocalize", seed=seed, word_pairs=pairs, strategy="exhaustive")),
        "training": ("unet", lambda seed: other("TextLayersTrainLora", seed=seed, steps=100_000, preview_every=20)),
        "inversion": ("unet", lambda seed: other("TextLayersInvert", refinements=100 - seed % 2)),
        "training set": ("unet", lambda seed: other("TextLayersDrawTrainingSet", seed=seed, count=100_000)),
    }


def _interrupt(server, prompt, seconds):
    number = server.queue(prompt)
    server.wait_until_it_runs(number)
    time.sleep(seconds)
    asked = time.perf_counter()
    server.post("/interrupt", {})
    entry = server.wait(number, 120, 0.02)
    took = time.perf_counter() - asked
    return {"after": seconds, "took": took, "interrupted": "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]}


def _summary(runs):
    took = [run["took"] for run in runs if run["interrupted"]]
    return {
        "count": len(runs),
        "interrupted": len(took),
        "same_pictures_afterwards": sum(run["same"] for run in runs),
        "seconds_to_stop": {"median": round(statistics.median(took), 3), "largest": round(max(took), 3)} if took else None,
    }
