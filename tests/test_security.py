"""What SECURITY.md promises."""

import ast
import pickle
import re
import struct
import zlib
from pathlib import Path

import pytest
import torch
from text_layers.lora.dataset import read_folder
from text_layers.lora.files import read
from text_layers.nodes.inputs import read_images

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]
IGNORED = tuple(line for line in (ROOT / ".comfyignore").read_text("utf-8").split() if line)
SHIPPED = [
    path
    for ending in ("py", "js")
    for path in sorted(ROOT.glob(f"*/**/*.{ending}"))
    if not path.relative_to(ROOT).as_posix().startswith((*IGNORED, "."))
]
RUNS_CODE = {"eval", "exec", "compile", "__import__", "system", "popen", "Popen", "load_module", "exec_module"}
# What would run code from data, or talk to another machine.
NOT_IMPORTED = {
    *(
        "pickle",
        "cPickle",
        "dill",
        "cloudpickle",
        "joblib",
        "marshal",
        "shelve",
        "subprocess",
        "ctypes",
        "cffi",
        "runpy",
        "pip",
        "ensurepip",
    ),
    *("socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "xmlrpc", "websockets"),
    "huggingface_hub",
}


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.suffix == ".py"], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_runs_code_from_data_and_nothing_is_sent(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            fetches = {"urllib"} if path.name == "downloads.py" else set()  # weights of OCR, against their published hash
            assert not (NOT_IMPORTED - fetches) & {name.name.split(".")[0] for name in node.names}, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.split(".")[0] not in NOT_IMPORTED, node.lineno
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            # A module's .eval() is another thing, and so is re.compile().
            assert name not in RUNS_CODE - {"eval", "compile"} and getattr(node.func, "id", None) not in RUNS_CODE, node.lineno
            said = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if name == "load_torch_file":
                assert said.get("safe_load") is True, node.lineno
            elif name == "load" and getattr(getattr(node.func, "value", None), "id", "") in ("torch", "np", "numpy", "yaml"):
                assert said.get("weights_only") is True, node.lineno


def test_the_page_asks_the_server_for_its_own_texts_and_to_drop_its_own_clicks_alone():
    scripts = {path.name: path.read_text("utf-8") for path in SHIPPED if path.suffix == ".js"}
    assert len(scripts) >= 6
    asked = [line.strip() for text in scripts.values() for line in text.splitlines() if re.search(r"fetch|XMLHttp|WebSocket|Beacon", line)]
    texts, post = 'const answer = await api.fetchApi("/i18n")', "return api.fetchApi(path, "
    assert len(asked) == 2 and texts in asked and any(line.startswith(post) for line in asked)
    assert re.findall(r"post\(([^,]+),", scripts["newest.js"]) == ["path", '"/queue"', '"/interrupt"']
    page = re.search(r'^Repository = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)[1]  # to which the About page links
    for name, text in scripts.items():
        text = text.replace(f'url: "{page}"', "")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://", text), name


class _Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".ckpt", ".bin", ".safetensors"])
def test_a_lora_that_is_a_program_is_not_run(tmp_path, ending):
    attacked, file = tmp_path / "attacked", tmp_path / f"lora{ending}"
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        write({"lora_unet_x.lora_up.weight": torch.ones(1, 1), "more": _Attack(attacked)}, file)
        with pytest.raises(ValueError, match=rf"^lora\{ending} cannot be read"):
            read(file)
        assert not attacked.exists()


def test_easyocrs_weights_that_are_a_program_are_not_run(tmp_path, monkeypatch):
    """Even if they had the MD5 of the published ones."""
    easyocr = pytest.importorskip("easyocr")
    from easyocr import config
    from easyocr.utils import calculate_md5
    from text_layers.scoring.easyocr_weights import safe_reader

    attacked = tmp_path / "attacked"
    folders = {"model_storage_directory": str(tmp_path), "user_network_directory": str(tmp_path), "download_enabled": False}
    both = config.detection_models["craft"], config.recognition_models["gen2"]["english_g2"]
    for bad in both:
        for known in both:
            file = tmp_path / known["filename"]
            torch.save({"a": _Attack(attacked) if known is bad else torch.ones(1)}, file)
            monkeypatch.setitem(known, "md5sum", calculate_md5(file))
        torch.load(tmp_path / bad["filename"], weights_only=False)
        assert attacked.exists()  # as EasyOCR itself would
        attacked.unlink()
        with pytest.raises(ValueError, match=rf"^EasyOCR's file {bad['filename']} is damaged, or holds more than weights"):
            safe_reader(easyocr)(["en"], gpu=False, verbose=False, **folders)
        assert not attacked.exists()


def bomb(path, side):
    """A PNG of side x side black pixels, a thousandth of what it unfolds to. [PNG specification, 5]"""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000), 9)  # cut off: whoever unfolds it fails, in another way
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("side", "message"), [(9000, "is 9000 x 9000 pixels: 81 million pixels, and 67 is the most"), (30_000, "far more")]
)
def test_a_picture_that_would_fill_the_memory_is_not_unfolded(tmp_path, side, message):
    bomb(tmp_path / "a.png", side)
    (tmp_path / "a.txt").write_text("a sign")
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path, (64, 64))


def test_a_picture_of_a_workflow_that_is_too_large_is_refused_before_it_is_looked_at():
    with pytest.raises(ValueError, match=r"^image is 12000 x 9000 pixels: 108 million pixels, and 67 is the most\. Scale it down"):
        read_images("image", torch.zeros(1).expand(1, 9000, 12_000, 3))
