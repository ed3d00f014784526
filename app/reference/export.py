"""The exported documentation: one OpenAPI file per version, and a page that reads offline.

``api_docs/released.sha256`` freezes what is released (``sha256sum -c`` checks it, and so does a
test). A version is released by adding its line there; ``export`` never touches that file.
"""

from __future__ import annotations

import json
from pathlib import Path

from app.reference import html
from app.reference.documents import Documents


def export(directory: Path, documents: Documents) -> list[Path]:
    """Write every version's document and ``index.html``; return what was written."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in contents(documents).items():
        path = directory / name
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def contents(documents: Documents) -> dict[str, str]:
    """File name → text of everything that is exported."""
    made = {name: make() for name, make in documents.items()}
    files = {
        f"{name}.json": json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        for name, document in made.items()
    }
    return files | {"index.html": html.page(made)}
