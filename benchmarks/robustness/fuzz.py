"""Hostile prompts, one after another, and what a server makes of each.

cases      the prompts
try_case   one of them -> Outcome
files      what lies in some folders
"""

import json
import random
import time
import traceback
import urllib.error
from dataclasses import dataclass

from ..comfy_server import FOLDER
from . import hostile

REFUSED, SUCCESS, FAILED, LONG = "refused at validation", "success", "error in a node", "ran on until interrupted"
SERVER_ERROR, STUCK, DIED = "500", "did not stop when interrupted", "server died"
# How an error came about, from its traceback.
SAID, BARE, BELOW, CORE = "said by the pack", "bare, in the pack", "below the pack", "in ComfyUI or another package"
_STOPS = 60  # seconds


@dataclass(frozen=True)
class Case:
    """node: class of the node that is broken; where: its input, or "" for all of it; what: the name of the hostile value."""

    node: str
    where: str
    what: str
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """kind: of those above; error: exception, message and where it was raised, of a node that failed or of the server's log; by: of
    those above, for an error."""

    kind: str
    error: str = ""
    by: str = ""


def cases(prompts, info, count, seed):
    """prompts: of prompts.of_nodes; info: object_info. The same number for each node, in the order of nodes, so that models stay loaded;
    chosen at random without repetition. The bodies that are no prompts come last."""
    chooser = random.Random(seed)
    share = -(-(count - len(hostile.BODIES)) // len(prompts))
    found = []
    for class_type, (prompt, node) in prompts.items():
        every = list(_of_node(class_type, prompt, node, info))
        found += sorted(chooser.sample(every, min(share, len(every))), key=every.index)
    found = found[: max(0, count - len(hostile.BODIES))]
    for node, where, what, make in found:
        yield Case(node, where, what, hostile.body({"prompt": make()}))
    for what, data in hostile.BODIES.items():
        yield Case("", "", what, data)


def _of_node(class_type, prompt, node, info):
    declared = info[class_type]["input"]
    for name, spec in {**declared.get("required", {}), **declared.get("optional", {})}.items():
        for what, value in hostile.values(name, spec).items():
            yield class_type, name, what, lambda name=name, value=value: _with(prompt, node, name, value)
        for what, (link, added) in hostile.links(prompt, node, spec, info).items():
            yield class_type, name, what, lambda name=name, link=link, added=added: _with(prompt, node, name, link) | added
        yield class_type, name, "missing", lambda name=name: _without(prompt, node, name)
    for what, broken in hostile.nodes.items():
        yield class_type, "", what, lambda broken=broken: _broken(prompt, node, broken)


def _with(prompt, node, name, value):
    return prompt | {node: prompt[node] | {"inputs": prompt[node]["inputs"] | {name: value}}}


def _without(prompt, node, name):
    return prompt | {node: prompt[node] | {"inputs": {k: v for k, v in prompt[node]["inputs"].items() if k != name}}}


def _broken(prompt, node, broken):
    copy = json.loads(json.dumps(prompt))
    broken(copy, node)
    return copy


def try_case(server, case, seconds=5):
    """What takes longer than these seconds is interrupted. What has not stopped after another minute is stuck."""
    logged = server.log.stat().st_size
    try:
        answer = json.loads(server.send("/prompt", case.body))
        return _finished(server, answer["prompt_id"], seconds)
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return Outcome(REFUSED)
        time.sleep(0.1)  # the log is written after the answer
        frames = _last_traceback(server.log.read_bytes()[logged:].decode("utf-8", "replace"))
        return Outcome(SERVER_ERROR, frames[-1] if frames else "no traceback", BARE if any(FOLDER in line for line in frames) else CORE)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        time.sleep(1)
        return Outcome(STUCK if server.alive else DIED, traceback.format_exc(limit=1)[-500:])


def _finished(server, number, seconds):
    try:
        return outcome(server.wait(number, seconds, 0.02))
    except TimeoutError:
        server.post("/interrupt", {})
        server.post("/queue", {"delete": [number]})
        entry = server.wait(number, _STOPS, 0.05)
        found = outcome(entry)
        return Outcome(LONG) if found.kind == FAILED and "Interrupt" in found.error else found


def outcome(entry):
    """entry: of a server's history."""
    if entry["status"]["status_str"] == "success":
        return Outcome(SUCCESS)
    for kind, body in entry["status"]["messages"]:
        if kind == "execution_error":
            return Outcome(FAILED, f"{body['node_type']}: {body['exception_type']}: {body['exception_message'].strip()[:300]}", judge(body))
    return Outcome(FAILED, "Interrupt", CORE)


def judge(error):
    """error: the body of an execution_error. Who says what is wrong?"""
    frames = [frame.strip() for frame in error["traceback"]]
    if not any(FOLDER in frame for frame in frames):
        return CORE
    if FOLDER not in frames[-1]:
        return BELOW
    return (
        SAID if _raises(frames[-1]) and error["exception_type"] not in ("TypeError", "KeyError", "IndexError", "AttributeError") else BARE
    )


def _raises(frame):
    lines = frame.splitlines()
    return len(lines) > 1 and any(line.strip().startswith(("raise ", "raise(")) for line in lines[1:])


def _last_traceback(log):
    """Lines of the last one, its error at the end."""
    if "Traceback (most recent call last)" not in log:
        return []
    lines = log.rsplit("Traceback (most recent call last)", 1)[1].splitlines()[1:]
    end = next((n for n, line in enumerate(lines) if line and not line.startswith(" ")), len(lines) - 1)
    return [line for line in lines[: end + 1] if line.strip()]


def files(folder, without=("__pycache__", ".git", ".dev", ".ruff_cache", "custom_nodes")):
    """{path: (size, time of change)} below a folder, not through links."""
    found, waiting = {}, [folder]
    while waiting:
        try:
            inside = list(waiting.pop().iterdir())
        except OSError:
            continue
        for path in inside:
            if path.name in without or path.is_symlink():
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                status = path.stat()
                found[path] = (status.st_size, status.st_mtime_ns)
    return found
