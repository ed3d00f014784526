"""Asks the installed transformers which models it has, without importing it."""

from __future__ import annotations

import re

from app.provider.catalogue.libraries import folder_of, source

_ENTRY = re.compile(r'\(\s*"([^"]+)",')


def has_class(model_type: str, table: str) -> bool:
    """Whether a table of transformers' AutoModel classes has a type; true where none is found."""
    folder = folder_of("transformers")
    file = folder and folder / "models" / "auto" / "modeling_auto.py"
    if not (file and file.is_file()):
        return True
    _, _, rest = source(file).partition(f"\n{table} = ")
    names = _ENTRY.findall(rest.partition("\n)")[0])
    return not names or model_type in names
