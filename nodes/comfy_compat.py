"""What ComfyUI 0.3 cannot say of a node yet, in one file. There these are left out, and the nodes do the same.

ADVANCED    an input's: it is shown on demand
FIXED_SEED  a seed's: it stays as it is from run to run unless its user chooses otherwise
SAYS_AGAIN  a node's: what it said is shown when it need not run again
SAYS        the same, and it runs without anything behind it
aliases     a schema's: other words under which the node is found
"""

import inspect

from comfy_api.latest import io

ADVANCED = {"advanced": True} if "advanced" in inspect.signature(io.Int.Input).parameters else {}
FIXED_SEED = {"control_after_generate": io.ControlAfterGenerate.fixed if hasattr(io, "ControlAfterGenerate") else True}
SAYS_AGAIN = {"has_intermediate_output": True} if "has_intermediate_output" in inspect.signature(io.Schema).parameters else {}
SAYS = {"is_output_node": True, **SAYS_AGAIN}


def aliases(*words):
    return {"search_aliases": list(words)} if "search_aliases" in inspect.signature(io.Schema).parameters else {}
