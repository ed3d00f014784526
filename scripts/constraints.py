"""Print poetry.lock's versions as pip constraints, so that pip and Poetry install the same."""

import tomllib
from collections import Counter
from pathlib import Path

lock = Path(__file__).parent.parent / "poetry.lock"
packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
# A name locked at two versions differs by platform; whatever needs it pins it itself.
entries = Counter(package["name"] for package in packages)
for package in packages:
    if entries[package["name"]] == 1:
        print(f"{package['name']}=={package['version']}")
