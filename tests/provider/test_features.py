"""The cache of what was computed of pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.generation.vision_cache import FeatureCache, FeatureKey
from app.provider.types import ImagePart

Rows = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def key(name: str, owner: str = "", width: int = 28) -> FeatureKey:
    return FeatureKey(owner, name, width, 28)


def rows(size: int) -> Rows:
    return np.zeros(size, np.uint8)


def cache_of(limit: int) -> FeatureCache[Rows]:
    return FeatureCache(limit)


def test_what_was_put_is_had_again() -> None:
    cache, features = cache_of(100), rows(10)
    assert cache.get(key("a")) is None
    cache.put(key("a"), features)
    assert cache.get(key("a")) is features
    assert cache.nbytes == 10


def test_owners_and_sizes_are_kept_apart() -> None:
    cache = cache_of(100)
    cache.put(key("a", owner="one", width=28), rows(10))
    assert cache.get(key("a", owner="two", width=28)) is None
    assert cache.get(key("a", owner="one", width=56)) is None
    assert cache.get(key("b", owner="one", width=28)) is None


def test_the_key_of_a_placed_picture_is_its_content_at_the_size_that_is_seen() -> None:
    part = ImagePart(b"png", "digest", 640, 480)
    placed = PlacedImage(part, 7, ImageSize(84, 56, tokens=6, positions=3))
    assert FeatureKey.of("me", placed) == FeatureKey("me", "digest", 84, 56)


def test_the_least_recently_used_leave_first() -> None:
    cache = cache_of(30)
    for name in "abc":
        cache.put(key(name), rows(10))
    cache.get(key("a"))
    cache.put(key("d"), rows(20))
    held = [name for name in "abcd" if cache.get(key(name)) is not None]
    assert held == ["a", "d"]
    assert cache.nbytes == 30


def test_what_is_larger_than_the_cache_pushes_nobody_out() -> None:
    cache = cache_of(30)
    cache.put(key("a"), rows(30))
    cache.put(key("b"), rows(31))
    assert cache.get(key("a")) is not None
    assert cache.get(key("b")) is None


def test_without_bytes_nothing_is_kept() -> None:
    cache = cache_of(0)
    cache.put(key("a"), rows(1))
    assert cache.get(key("a")) is None
    assert cache.nbytes == 0


def test_putting_again_replaces() -> None:
    cache, newer = cache_of(30), rows(20)
    cache.put(key("a"), rows(10))
    cache.put(key("a"), newer)
    assert cache.get(key("a")) is newer
    assert cache.nbytes == 20


def test_threads_may_use_it_at_once() -> None:
    cache = cache_of(50)

    def use(number: int) -> None:
        for turn in range(300):
            cache.put(key(str((number + turn) % 9)), rows(10))
            cache.get(key(str(turn % 9)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    held = [name for name in range(9) if cache.get(key(str(name))) is not None]
    assert cache.nbytes == 10 * len(held) == 50
