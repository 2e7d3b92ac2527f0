"""The engine that reads the demo models' pictures."""

import pytest
from text_layers.scoring.ocr import EasyOcr


@pytest.fixture(scope="module")
def ocr():
    return EasyOcr()
