"""What is generated is up to date."""

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import unquote

import comfy.supported_models
import pytest
from PIL import Image
from text_layers.benchmarks import quality
from text_layers.benchmarks.editing import docs as edit_docs
from text_layers.benchmarks.families import checks as families
from text_layers.benchmarks.families import discovery_docs
from text_layers.benchmarks.families import table as family_table
from text_layers.benchmarks.families.templates import docs as template_docs
from text_layers.benchmarks.guard import docs as guard_docs
from text_layers.benchmarks.localization import docs as localization_docs
from text_layers.benchmarks.lora import docs as lora_docs
from text_layers.benchmarks.mutants import page
from text_layers.benchmarks.reading import docs as reading_docs
from text_layers.benchmarks.server import compatibility as compatibility_docs
from text_layers.benchmarks.server import screens, small_graphs
from text_layers.testing.tiny_models import MODELS, WITHOUT

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]


def test_the_family_table_is_that_of_the_adapters():
    assert (ROOT / "docs" / "families.md").read_text("utf-8") == family_table.text(), (
        "renew it: python dev.py run benchmarks.families.table"
    )


def test_what_was_measured_of_localization_is_what_the_documents_say():
    renew = "renew it: python dev.py run benchmarks.localization.docs"
    assert (ROOT / "docs" / "localization.md").read_text("utf-8") == localization_docs.text(), renew
    evidence = (ROOT / "docs" / "evidence.md").read_text("utf-8")
    assert localization_docs.with_table(evidence) == evidence, renew


def test_what_was_measured_of_loras_is_what_the_document_says():
    assert (ROOT / "docs" / "lora.md").read_text("utf-8") == lora_docs.text(), "renew it: python dev.py run benchmarks.lora.docs"


@pytest.mark.parametrize(("name", "docs"), [("guard", guard_docs), ("editing", edit_docs), ("reading", reading_docs)])
def test_what_was_measured_of_guard_edits_and_reading_is_what_the_documents_say(name, docs):
    assert (ROOT / "docs" / f"{name}.md").read_text("utf-8") == docs.text(), (
        f"renew it: python dev.py run {docs.__name__.removeprefix('text_layers.')}"
    )


def test_the_page_of_mistakes_is_that_of_what_was_tried():
    assert (ROOT / "docs" / "tests.md").read_text("utf-8") == page.text(), "renew it: python dev.py run benchmarks.mutants.page"


def test_the_compatibility_page_is_that_of_the_tests():
    assert (ROOT / "docs" / "compatibility.md").read_text("utf-8") == compatibility_docs.text(), (
        "renew it: python dev.py run benchmarks.server.compatibility"
    )
    for *_, test in compatibility_docs.PROMPTS + compatibility_docs.MODELS:
        file, name = test.split("::")
        assert f"def {name}(" in (ROOT / "tests" / "patching" / file).read_text("utf-8"), test


def test_the_page_of_discovery_is_that_of_what_was_measured():
    renew = "renew it: python dev.py run benchmarks.families.discovery_docs"
    assert (ROOT / "docs" / "discovery.md").read_text("utf-8") == discovery_docs.text(), renew


def test_the_page_of_templates_is_that_of_what_was_measured():
    renew = "renew it: python dev.py run benchmarks.families.templates.docs"
    assert (ROOT / "docs" / "templates.md").read_text("utf-8") == template_docs.text(), renew


def test_every_class_was_checked():
    checked = json.loads((ROOT / "benchmarks" / "results" / "families.json").read_text())
    assert {row["class"] for row in checked} == {tiny.kind for tiny in MODELS}
    unkept = {tiny.kind: tiny.unkept for tiny in MODELS if tiny.unkept}
    failed = {row["class"]: [check for check in families.CHECKS if not row[check]] for row in checked if row["family"]}
    assert {kind: letters for kind, letters in failed.items() if letters} == {kind: ["f"] for kind in unkept}
    assert all(unkept[row["class"]] in row["reason"] for row in checked if row["class"] in unkept)


def test_every_class_of_comfyui_is_served_or_named_with_a_reason():
    known = {tiny.kind for tiny in MODELS} | set(WITHOUT)
    assert {kind.__name__ for kind in comfy.supported_models.models} <= known
    assert not {tiny.kind for tiny in MODELS} & set(WITHOUT)


def test_contributing_shows_a_family_as_it_is():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    added = [line[1:] for line in text.splitlines() if line.startswith("+") and not line.startswith("+++")]
    for path in ("patching/adapters/krea2.py", "testing/tiny_models/krea2.py"):
        lines = (ROOT / path).read_text("utf-8").splitlines()
        assert "\n".join(lines) in "\n".join(added), f"{path} has changed; CONTRIBUTING.md shows it"


def test_every_node_and_workflow_is_shown():
    """And every picture of a document is there."""
    text = (ROOT / "docs" / "screens.md").read_text("utf-8")
    assert text == screens.page(), "renew it: python dev.py run benchmarks.server.screens"
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "web" / "docs").glob("*.md")]
    for document in documents:
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", document.read_text("utf-8")):
            assert (document.parent / unquote(name)).is_file(), (document.name, name)
    assert set(small_graphs.GRAPHS) == {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}


def test_the_registrys_entry_shows_pictures_of_the_size_that_it_wants():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    page = re.search(r'^Repository = "https://github.com/(.+)"', text, re.M)[1]
    for name, ratio in (("Icon", 1), ("Banner", 21 / 9)):
        path = re.search(rf'^{name} = "https://raw.githubusercontent.com/{page}/main/(.+)"', text, re.M)[1]
        with Image.open(ROOT / path) as picture:
            assert picture.width / picture.height == ratio and picture.height >= 400


def test_what_the_readme_claims_was_measured():
    pages = [" ".join((ROOT / page).read_text("utf-8").split()) for page in quality.PAGES]
    for claim in quality.claims():
        assert any(claim.said in page for page in pages), claim.said
        path = claim.by.split("::")[0].removesuffix("--long").strip()
        assert claim.file or (ROOT / path).exists()
    assert (ROOT / "docs" / "quality.md").read_text("utf-8") == quality.text(), "renew it: python dev.py run benchmarks.quality"


LANGUAGES = sorted(path.name for path in (ROOT / "locales").iterdir() if path.name != "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_in_another_language_is_that_of_the_english_page(language):
    """Each page names the English one that it says the same as: another one asks for a new translation."""
    names = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    for english in sorted((ROOT / "web" / "docs").glob("*.md")):
        page = (english.with_suffix("") / f"{language}.md").read_text("utf-8")
        version = hashlib.sha256(english.read_text("utf-8").encode()).hexdigest()[:12]
        assert f"SHA-256 {version} -->" in page, f"{english.name} has changed; carry it into {language}.md"
        assert page.startswith(f"# {names[english.stem]['display_name']}\n") and f"]({english.stem}.webp)" in page
        assert page.count("\n- ") == english.read_text("utf-8").count("\n- ")
