"""Folders of pictures with captions as the usual trainers keep them."""

import json

import numpy as np
import pytest
from PIL import Image
from text_layers.lora.dataset import read_folder

pytestmark = pytest.mark.any_comfyui


def picture(path, width=6, height=4, colour=(255, 0, 51)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


def test_a_text_file_beside_each(tmp_path):
    picture(tmp_path / "b.png")
    picture(tmp_path / "inner" / "a.jpg", 8, 8)
    (tmp_path / "b.txt").write_text('a sign that says "B"\n')
    (tmp_path / "inner" / "a.caption").write_text("another")
    pictures, captions = read_folder(tmp_path)
    assert captions == ['a sign that says "B"', "another"] and [p.shape for p in pictures] == [(1, 4, 6, 3), (1, 8, 8, 3)]
    assert np.allclose(pictures[0][0, 0, 0], (1, 0, 0.2))
    assert [p.shape for p in read_folder(tmp_path, (10, 2))[0]] == [(1, 2, 10, 3)] * 2


@pytest.mark.parametrize("column", ["text", "caption", "prompt"])
def test_a_table(tmp_path, column):
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps({"file_name": n, column: n[0]}) for n in ("b.png", "a.png")) + "\n")
    assert read_folder(tmp_path)[1] == ["a", "b"]
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "metadata.csv").write_text(f'file_name,{column}\na.png,"one, two"\nb.png,three\n')
    assert read_folder(tmp_path)[1] == ["one, two", "three"]


def test_a_picture_on_its_side_stands_up(tmp_path):
    image, exif = Image.new("RGB", (6, 4)), Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned
    image.save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.txt").write_text("a")
    assert read_folder(tmp_path)[0][0].shape == (1, 6, 4, 3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no pictures"),
        ({"a.png": None, "b.png": None, "a.txt": b"a"}, "1 of 2 pictures in .* have no caption, b.png"),
        ({"a.png": None, "metadata.jsonl": b'{"file_name": "c.png", "text": "c"}'}, "names c.png, which is not"),
        ({"a.png": None, "metadata.jsonl": b'{"file_name": "a.png"}'}, "should have file_name and text, caption or prompt"),
        ({"a.png": None, "metadata.jsonl": b"not json"}, "should have file_name"),
        ({"a.png": b"no picture", "a.txt": b"a"}, "is no picture"),
    ],
)
def test_errors_name_the_file(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content) if content is not None else picture(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match="There is no folder"):
        read_folder(tmp_path / "nowhere")
