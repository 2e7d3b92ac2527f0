"""Weights that are downloaded: from a real server on this machine, and from one that is not there."""

import hashlib
import http.server
import threading
import zipfile

import comfy.model_management
import comfy.utils
import folder_paths
import pytest
from text_layers.scoring import easy_ocr, rapid_ocr
from text_layers.scoring.downloads import fetched
from text_layers.scoring.languages import BUILT_IN, LANGUAGES
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui

WEIGHTS = bytes(range(256)) * 4000
SHA = ("sha256", hashlib.sha256(WEIGHTS).hexdigest())
NOBODY = "http://127.0.0.1:9/model.onnx"  # port 9 is closed


@pytest.fixture
def served(tmp_path):
    """The address of a folder that is served, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def test_a_file_comes_once_and_shows_its_progress(served, tmp_path, monkeypatch):
    address, folder = served
    (folder / "model.onnx").write_bytes(WEIGHTS)
    seen, path = [], tmp_path / "models" / "ocr" / "model.onnx"
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda done, total, *_, **__: seen.append((done, total)))
    assert fetched(path, f"{address}/model.onnx", SHA, "The model", "models/ocr") == path and path.read_bytes() == WEIGHTS
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS)) and 0 < seen[0][0] < len(WEIGHTS)  # ComfyUI leaves out what comes too fast
    (folder / "model.onnx").unlink()
    assert fetched(path, f"{address}/model.onnx", SHA, "The model", "models/ocr") == path  # without the server
    path.write_bytes(WEIGHTS[:1000])  # a broken one is no model
    with pytest.raises(ConnectionError):
        fetched(path, f"{address}/model.onnx", SHA, "The model", "models/ocr")


def test_a_file_comes_out_of_a_zip(served, tmp_path):
    address, folder = served
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        archive.writestr("inside/model.pth", WEIGHTS)
    path = tmp_path / "model.pth"
    assert fetched(path, f"{address}/model.zip", ("md5", hashlib.md5(WEIGHTS).hexdigest()), "The model", "it").read_bytes() == WEIGHTS


def test_another_file_is_not_used(served, tmp_path):
    address, folder = served
    (folder / "model.onnx").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"is not the published file model\.onnx: it is not used"):
        fetched(tmp_path / "model.onnx", f"{address}/model.onnx", SHA, "The model", "models/ocr")
    assert list(tmp_path.iterdir()) == [folder]


def test_an_interruption_leaves_nothing_behind(served, tmp_path):
    address, folder = served
    (folder / "model.onnx").write_bytes(WEIGHTS)
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        fetched(tmp_path / "model.onnx", f"{address}/model.onnx", SHA, "The model", "models/ocr")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("language", [name for name, language in LANGUAGES.items() if language.rapidocr])
def test_without_a_network_rapidocr_says_which_file_goes_where(language, tmp_path, monkeypatch):
    asked = []

    def offline(path, address, *rest):
        asked.append((path.name, address))
        return fetched(path, NOBODY, *rest)

    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    monkeypatch.setattr(rapid_ocr, "fetched", offline)
    with pytest.raises(ConnectionError, match=rf"for {language} is not on this machine .* into ComfyUI's folder models/ocr by hand"):
        engine("RapidOCR", language)
    ((name, address),) = asked
    assert LANGUAGES[language].rapidocr in name and address.endswith(name)


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != BUILT_IN])
def test_without_a_network_easyocr_says_which_file_goes_where(language, tmp_path, monkeypatch):
    easyocr = pytest.importorskip("easyocr")
    from easyocr import config

    monkeypatch.setattr(config, "MODULE_PATH", str(tmp_path))
    detector = config.detection_models["craft"]["filename"]
    monkeypatch.setattr(easy_ocr, "fetched", lambda path, _, *rest: path if path.name == detector else fetched(path, NOBODY, *rest))
    with pytest.raises(ConnectionError, match=f"EasyOCR's model for {language} is not on this machine"):
        engine("EasyOCR", language)
    assert easyocr.Reader  # the package is there


@pytest.mark.parametrize("name", ["Latin letters", "Chinese", "Japanese"])
def test_what_rapidocr_has_in_its_package_needs_no_download(name, monkeypatch):
    monkeypatch.setattr(rapid_ocr, "fetched", None)
    assert engine("RapidOCR", name).unknown("Żółta łódź, çığ, ñandú, 咖啡, コーヒー") == set()
