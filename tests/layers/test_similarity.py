"""What all engines need is written once: hardly any function is alike in two of them."""

from __future__ import annotations

from pathlib import Path

from tests.layers.similarity import alike

ENGINES = Path(__file__).parents[2] / "app" / "provider" / "engines"
MOST_PAIRS = 10

TWINS = '''
def admit(self, job, prompt):
    """Take it."""
    if len(self._answers) >= self.slots:
        return False
    self._answers[job] = prompt
    return True
'''


def test_engines_repeat_hardly_anything() -> None:
    pairs = alike(ENGINES)
    assert len(pairs) <= MOST_PAIRS, "\n".join(map(str, pairs))


def test_a_function_with_other_names_is_found(tmp_path: Path) -> None:
    other = TWINS.replace("prompt", "wish").replace("Take it", "Another text")
    for engine, text in (("one", TWINS), ("two", other), ("three", TWINS.replace("if", "while"))):
        (tmp_path / engine).mkdir()
        (tmp_path / engine / "engine.py").write_text(text)
    names = {(one, other) for ratio, one, other in alike(tmp_path) if ratio == 1.0}
    assert names == {("one/engine.py:admit", "two/engine.py:admit")}
