"""Which of the pack's output nodes a prompt asks for.

ComfyUI runs every output node of a prompt. Most of the pack's are output nodes, so that they run without anything behind them and what they
say is seen; but on the side of a lazy switch that was not chosen, a search or a training would run as well, for minutes and for nothing.
"""

import sys

from comfy_execution.graph import get_input_info
from comfy_execution.graph_utils import is_link

import nodes

_OURS = "TextLayers"


def watch():
    """Has ComfyUI's server, where one runs, name the targets of each prompt that comes."""
    module = sys.modules.get("server")  # to import it would be to load all of it where none runs
    running = getattr(getattr(module, "PromptServer", None), "instance", None)
    if running:
        running.add_on_prompt_handler(_name_targets)


def _name_targets(request):
    if isinstance(request, dict) and request.get("partial_execution_targets") is None:  # else a hand has chosen some
        found = targets(request.get("prompt"))
        if found is not None:
            request["partial_execution_targets"] = found
    return request


def targets(prompt):
    """The ids of the output nodes to run; None: all of them. prompt: of the API, which may be anything.

    Left out are the pack's from which each way to another output node leads over a lazy input: they run when that input is asked for.
    """
    try:
        ours = {id for id, node in prompt.items() if node["class_type"].startswith(_OURS)}
        if not ours:
            return None
        behind = {id: ([], []) for id in prompt}  # what each node's outputs go into: all, and those of them that do not choose
        outputs = set()
        for id, node in prompt.items():
            kind = nodes.NODE_CLASS_MAPPINGS[node["class_type"]]
            if getattr(kind, "OUTPUT_NODE", False):
                outputs.add(id)
            for name, value in node["inputs"].items():
                if is_link(value):
                    every, at_once = behind[value[0]]
                    every.append(id)
                    if not (get_input_info(kind, name)[2] or {}).get("lazy"):
                        at_once.append(id)
    except (AttributeError, KeyError, TypeError):
        return None  # no prompt that could run: ComfyUI says what is wrong with it
    ours &= outputs
    asked = outputs - {id for id in ours if _reached(id, behind, 0) & outputs}
    left = {id for id in ours - asked if not _reached(id, behind, 1) & asked}
    return sorted(outputs - left) if left and asked else None


def _reached(id, behind, way):
    found, next_ones = set(), list(behind[id][way])
    while next_ones:
        one = next_ones.pop()
        if one not in found:
            found.add(one)
            next_ones += behind[one][way]
    return found
