import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ..comfy_server import running
from . import fuzz, prompts

n = int(sys.argv[1])
only = sys.argv[2:]
base = Path(tempfile.mkdtemp(prefix="robust-")) / "outer" / "comfyui"
base.mkdir(parents=True)
prompts.write_files(base)
out = open("/tmp/robust_cases.jsonl", "w")
with running(os.environ["COMFYUI_PATH"], base) as s:
    of = prompts.of_nodes(s)
    for k, (p, i) in of.items():
        t = time.time()
        e = s.run(p)
        print(k, fuzz.outcome(e), round(time.time() - t, 1), flush=True)
    if only:
        of = {k: v for k, v in of.items() if k in only}
    info = s.json("/object_info")
    c = Counter()
    t0 = time.time()
    for case in fuzz.cases(of, info, n, 1):
        t = time.time()
        o = fuzz.try_case(s, case)
        dt = time.time() - t
        c[o.kind, o.by] += 1
        out.write(json.dumps([case.node, case.where, case.what, o.kind, o.by, o.error, round(dt, 2)]) + "\n")
        out.flush()
        if not s.alive or o.kind in (fuzz.STUCK, fuzz.DIED):
            print("!!", case.node, case.where, case.what, o)
        if not s.alive:
            break
    print(c, time.time() - t0, base)
