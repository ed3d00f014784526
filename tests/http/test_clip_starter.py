"""Pictures and texts with the encoder of both that comes with the repository."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from random import Random

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import MODELS, serving
from tests.http.encoding_wire import asked
from tests.media.files import saved
from training.clip_starter.captions import ALIKE, Wording, alike
from training.clip_starter.engine import Encoder
from training.vision_starter.drawing import scene

pytestmark = pytest.mark.slow

CLIP = "starter-clip"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server as it is on a fresh machine, with the encoder alone."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / CLIP, folder / CLIP)
    with serving(models_dir=folder, enable_echo=False) as client:
        yield client


@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_matches_drawings_with_words(clip: httpx.Client, language: str) -> None:
    made = (scene(Random(f"starter {number}")) for number in range(40))
    scenes = [shown for shown in made if alike(shown) is not None][:8]
    words = Wording(language, Random(1), held_out=True)
    texts = [words.alike(*one) for one in ALIKE]
    pictures = [shown.draw() for shown in scenes]
    answer = asked(clip, "/v1/multimodal/match", images=[png(one) for one in pictures], texts=texts)
    assert answer["model"] == CLIP
    matrix, encoder = np.array(answer["similarity_matrix"]), Encoder(MODELS / CLIP)
    assert matrix == pytest.approx(encoder.images(pictures) @ encoder.texts(texts).T, abs=1e-4)
    right = matrix.argmax(1) == [alike(shown) for shown in scenes]
    assert right.mean() > 0.7


def test_the_same_picture_is_like_itself(clip: httpx.Client) -> None:
    picture = png(scene(Random(1)).draw())
    answer = asked(clip, "/v1/vision/similarity", image1=picture, image2=picture)
    assert answer["similarity"] >= 0.999
    assert answer["dimensions"] == 64


def png(picture: Image.Image) -> str:
    """A picture as base64."""
    return base64.b64encode(saved(picture, "PNG")).decode()
