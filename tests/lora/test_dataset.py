"""Folders of pictures with captions as the usual trainers keep them."""

import json

import numpy as np
import pytest
from PIL import Image
from text_layers.lora.dataset import bucket, read_folder

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


def test_transparent_pictures_stand_on_white_or_where_that_hides_them_on_black(tmp_path, caplog):
    black, white, clear = (0, 0, 0, 255), (255, 255, 255, 255), (7, 99, 200, 0)  # clear has a colour of its own, which nobody sees
    rng = np.random.default_rng(0)
    junk = np.concatenate([rng.integers(0, 256, (4, 6, 3)), np.zeros((4, 6, 1), int)], -1).astype(np.uint8)
    junk[1, 2] = black
    half = Image.new("RGBA", (6, 4), (0, 0, 0, 51))
    images = {
        "a letters": with_dot("RGBA", clear, black),
        "b light letters": with_dot("RGBA", clear, white),
        "c grey": with_dot("LA", (0, 0), (0, 255)),
        "d palette": with_dot("RGBA", clear, black).convert("P"),
        "e junk": Image.fromarray(junk),
        "f half": half,
        "g opaque": with_dot("RGBA", white, black),
    }
    for name, image in images.items():
        image.save(tmp_path / f"{name}.png", **({"transparency": image.getpixel((0, 0))} if image.mode == "P" else {}))
        (tmp_path / f"{name}.txt").write_text(name)
    pictures, captions = read_folder(tmp_path)
    dots = np.ones((1, 4, 6, 3))
    dots[0, 1, 2] = 0
    right = [dots, 1 - dots, dots, dots, dots, np.full_like(dots, 0.8), dots]
    assert captions == list(images)
    for name, picture, expected in zip(images, pictures, right, strict=True):
        assert np.abs(picture.numpy() - expected).max() < 0.005, name
    assert "5 transparent pictures, a letters.png for one, are put on white" in caplog.text
    assert "1 transparent pictures, b light letters.png for one, are put on black" in caplog.text


def with_dot(mode, ground, ink):
    image = Image.new(mode, (6, 4), ground)
    image.putpixel((2, 1), ink)
    return image


def test_sixteen_bits_of_grey(tmp_path):
    values = np.array([[0, 13107, 32768], [52428, 65535, 655]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a")
    picture = read_folder(tmp_path)[0][0]
    assert picture.shape == (1, 2, 3, 3) and np.abs(picture[0].numpy() - values[..., None] / 65535).max() < 0.004


LINES = ["ein rotes Schild mit der Aufschrift „KÄSE“", "une enseigne où l'on lit HÔTEL", "un letrero: ¡NIÑO!"]
JAPANESE = ["看板にカフェと書いてある", "赤い看板、「CAFE」と書いてあります", "青い壁の看板、ホテル"]


@pytest.mark.parametrize(
    ("texts", "encoding", "mark"),
    [(LINES, "utf-8", b""), (LINES, "utf-8", b"\xef\xbb\xbf"), (LINES, "cp1252", b""), (LINES, "utf-16", b""), (LINES, "utf-16-le", b""),
     (LINES, "utf-16-be", b""), (LINES, "utf-32", b""), (JAPANESE, "cp932", b""), (JAPANESE, "utf-16", b""),
     (["вывеска с надписью КАФЕ", "красная вывеска"], "cp1251", b""), (["znak z napisem ŻÓŁĆ", "tablica ŁÓDŹ"], "cp1250", b""),
     (["一个写着咖啡的牌子", "红色的招牌上写着酒店"], "gbk", b""), (["카페라고 적힌 간판", "빨간 간판"], "cp949", b"")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["sidecars", "metadata.csv", "metadata.jsonl"])
def test_captions_in_the_encodings_of_people_s_editors(tmp_path, texts, encoding, mark, form):
    names = [f"{number}.png" for number in range(len(texts))]
    for name in names:
        picture(tmp_path / name)
    if form == "sidecars":
        for name, text in zip(names, texts, strict=True):
            (tmp_path / name).with_suffix(".txt").write_bytes(mark + text.encode(encoding))
    else:
        rows = [json.dumps({"file_name": n, "text": t}, ensure_ascii=False) for n, t in zip(names, texts, strict=True)]
        if form.endswith("csv"):
            rows = ["file_name,text", *(f'{n},"{t}"' for n, t in zip(names, texts, strict=True))]
        (tmp_path / form).write_bytes(mark + "\r\n".join(rows).encode(encoding))
    assert read_folder(tmp_path)[1] == texts


def test_tables_with_lines_in_captions(tmp_path):
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "metadata.csv").write_bytes(b'file_name,text\r\na.png,"CAFE\nHOTEL"\r\n\r\nb.png,"say ""B"", please"\r\n')
    assert read_folder(tmp_path)[1] == ["CAFE\nHOTEL", 'say "B", please']
    rows = [{"file_name": "a.png", "text": "CAFE\u2028HOTEL"}, {"file_name": "b.png", "text": "one\x85two"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    assert read_folder(tmp_path)[1] == ["CAFE\u2028HOTEL", "one\x85two"]


def test_what_systems_put_beside_people_s_files_does_not_count(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a")
    others = ("@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/a.png", "#recycle/b.png")
    for name in ("._a.png", *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    (tmp_path / "._a.txt").write_bytes(b"\0\5\x16\7")
    assert read_folder(tmp_path)[1] == ["a"]


@pytest.mark.parametrize(
    ("name", "beside"),
    [("a.png", "a.TXT"), ("a.PNG", "a.txt"), ("A.png", "a.txt"), ("a.png", "a.png.txt"), ("a.png", "a.png.caption"), ("a.b.png", "a.b.txt"),
     ("cafe\u0301.png", "caf\u00e9.txt")],
)  # fmt: skip
def test_sidecars_as_other_systems_name_them(tmp_path, name, beside):
    picture(tmp_path / name)
    (tmp_path / beside).write_text("right")
    assert read_folder(tmp_path)[1] == ["right"]


@pytest.mark.parametrize("named", ["in/a.png", "in\\a.png", "./in/a.png", ".\\in\\a.png", "in/A.PNG", "In/a.png"])
def test_names_in_tables_as_other_systems_write_them(tmp_path, named):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": named, "text": "right"}))
    assert read_folder(tmp_path)[1] == ["right"]


def test_of_names_alike_each_has_its_own(tmp_path):
    for name in ("a", "A"):
        picture(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(name)
    if len(list(tmp_path.iterdir())) == 4:  # the file system tells A from a
        assert read_folder(tmp_path)[1] == ["A", "a"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no pictures"),
        ({"a.png": None, "b.png": None, "a.txt": b"a"}, "1 of 2 pictures in .* have no caption, b.png"),
        ({"a.png": None, "metadata.jsonl": b'{"file_name": "c.png", "text": "c"}'}, "line 1, names c.png, which is not"),
        ({"a.png": None, "metadata.jsonl": b'{"file_name": "a.png"}'}, "each should have file_name and text, caption or prompt"),
        ({"a.png": None, "metadata.jsonl": b"not json"}, "line 1: each should have file_name"),
        ({"a.png": b"no picture", "a.txt": b"a"}, "is no picture"),
        ({"a.png": None, "a.txt": b"\x00\x05\x16\x07\x00\x02"}, "a.txt is neither"),
        ({"a.png": None, "a.txt": b"\xff\xfea"}, "a.txt is neither UTF-8 nor utf-16"),
        ({"a.png": None, "metadata.csv": b"file_name,text\na.png,a red sign, with CAFE\n"}, "line 2, has more fields"),
        ({"a.png": None, "metadata.csv": b"file_name,text\na.png\n"}, "metadata.csv, line 2: each should have"),
        ({"a.png": None, "metadata.csv": b"file_name;text\na.png;a\n"}, "metadata.csv, line 2: each should have"),
        ({"a.png": None, "metadata.jsonl": b'{"file_name": "a.png", "text": 5}'}, "line 1: each should have"),
        ({"a.png": None, "metadata.csv": b"file_name,text\na.png,a\n\na.png,b\n"}, "line 4, gives a.png a second caption"),
    ],
)
def test_errors_name_the_file(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content) if content is not None else picture(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match="There is no folder"):
        read_folder(tmp_path / "nowhere")


def test_buckets_go_to_one_sixteenth():
    assert bucket(256, 256, (1600, 100)) == (1024, 64) and bucket(256, 256, (100, 1600)) == (64, 1024)
