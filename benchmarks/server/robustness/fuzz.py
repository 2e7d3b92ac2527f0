"""Hostile prompts, one after another, and what a server makes of each.

cases      the prompts
of_core    what is broken in the same ways, with nodes of ComfyUI alone
try_case   one of them -> Outcome
outcome    of a prompt that was run
judge      whose words an error is
"""

import json
import random
import time
import traceback
import urllib.error
from dataclasses import dataclass

from ....testing.comfy_server import FOLDER
from . import hostile

REFUSED, SUCCESS, FAILED, LONG = "refused at validation", "success", "error in a node", "ran on until interrupted"
SERVER_ERROR, STUCK, DIED = "500", "did not stop when interrupted", "server died"
# How an error came about, from its traceback.
SAID, BARE, BELOW, CORE = "said by the pack", "bare, in the pack", "below the pack", "in ComfyUI or another package"
HALTED = "server's worker ended"  # it answers, and runs nothing any more
_STOPS, _INTERRUPTED = 60, "interrupted"  # seconds
_BARE = ("TypeError", "KeyError", "IndexError", "AttributeError")


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


def cases(prompts, info, count, seed, without=()):
    """prompts: of prompts.of_nodes; info: object_info. The same number for each node, in the order of nodes, so that models stay loaded;
    chosen at random without repetition. The bodies that are no prompts come last. without: names of hostile values."""
    chooser = random.Random(seed)
    share = -(-(count - len(hostile.BODIES)) // len(prompts))
    found = []
    for class_type, (prompt, node) in prompts.items():
        every = [case for case in _of_node(class_type, prompt, node, info) if case[2] not in without]
        found += sorted(chooser.sample(every, min(share, len(every))), key=every.index)
    found = found[: max(0, count - len(hostile.BODIES))]
    for node, where, what, make in found:
        yield Case(node, where, what, hostile.body({"prompt": make()}))
    for what, data in hostile.BODIES.items():
        yield Case("", "", what, data)


def of_core():
    """What the server makes of these is ComfyUI's own doing: the pack has no part in them."""
    picture = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 0}}
    prompt = {"1": picture, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
    prompt["3"] = json.loads(json.dumps(prompt["2"]))
    for what, broken in hostile.nodes.items():
        yield Case("PreviewImage", "", what, hostile.body({"prompt": _broken(prompt, "2", broken)}))
    yield Case("PreviewImage", "images", "too deep", hostile.body({"prompt": _with(prompt, "2", "images", hostile.TOO_DEEP)}))
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

    def log():
        time.sleep(0.2)  # it is written after the answer
        return server.log.read_bytes()[logged:].decode("utf-8", "replace")

    try:
        answer = json.loads(server.send("/prompt", case.body))
        found = _finished(server, answer["prompt_id"], seconds, log)
        # ComfyUI runs the outputs of a prompt that nothing is wrong with.
        return Outcome(REFUSED) if answer["node_errors"] and found.kind == SUCCESS else found
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return Outcome(REFUSED)
        return _of_server(SERVER_ERROR, log())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        time.sleep(1)
        return Outcome(STUCK if server.alive else DIED, traceback.format_exc(limit=1)[-500:])


def _finished(server, number, seconds, log):
    try:
        return outcome(server.wait(number, seconds, 0.02))
    except TimeoutError:
        if "Exception in thread" in log():
            return _of_server(HALTED, log())
        server.post("/interrupt", {})
        server.post("/queue", {"delete": [number]})
        found = outcome(server.wait(number, _STOPS, 0.05))
        return Outcome(LONG) if found.kind == FAILED and found.error == _INTERRUPTED else found


def _of_server(kind, log):
    """log: what the server has written since; whose code is in the traceback?"""
    lines = _last_traceback(log)
    return Outcome(kind, lines[-1] if lines else "no traceback", BARE if any(FOLDER in line for line in lines) else CORE)


def outcome(entry):
    """entry: of a server's history."""
    if entry["status"]["status_str"] == "success":
        return Outcome(SUCCESS)
    for kind, body in entry["status"]["messages"]:
        if kind == "execution_error":
            return Outcome(FAILED, f"{body['node_type']}: {body['exception_type']}: {body['exception_message'].strip()[:300]}", judge(body))
    return Outcome(FAILED, _INTERRUPTED, CORE)


def judge(error):
    """error: the body of an execution_error. Who says what is wrong?"""
    frames = [frame.strip() for frame in error["traceback"]]
    if not any(FOLDER in frame for frame in frames):
        return CORE
    if FOLDER not in frames[-1]:
        return BELOW
    said = _raises(frames[-1]) and error["exception_type"] not in _BARE
    return SAID if said else BARE


def is_finding(found):
    """Whether it is a fault of the pack. Not: a refusal, a success, an error in the pack's own words or in a node of others, what is
    interrupted in time, and what ends in ComfyUI's own code without the pack."""
    return found.kind in (STUCK, DIED) or (found.kind in (SERVER_ERROR, HALTED) and found.by != CORE) or found.by in (BARE, BELOW)


def ends_the_server(found):
    """Whether a new one is needed."""
    return found.kind in (STUCK, DIED, HALTED)


def _raises(frame):
    lines = frame.splitlines()
    return len(lines) > 1 and any(line.strip().startswith(("raise ", "raise(")) for line in lines[1:])


def _last_traceback(log):
    """Lines of the last error, with those during whose handling it came, and the error at the end."""
    parts = log.split("Traceback (most recent call last)")[1:]
    if not parts:
        return []
    lines = [line for part in parts for line in part.splitlines()[1:] if line.strip()]
    last = parts[-1].splitlines()[1:]
    error = next((line for line in last if line and not line.startswith(" ")), last[-1] if last else "")
    return [*lines, error]
