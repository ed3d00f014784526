from __future__ import annotations

import contextlib
import random
import threading
import time
from functools import partial

import pytest

from app.provider.generation.jinja_sandbox import SandboxedTemplate, TemplateFailed, bounded


def test_a_template_sees_its_variables() -> None:
    source = "{% for m in messages %}\n{{ m.role }}: {{ m | tojson }}\n{% endfor %}"
    rendered = SandboxedTemplate(source).render(messages=[{"role": "user", "text": "안녕 <b>"}])
    assert rendered == 'user: {"role": "user", "text": "안녕 <b>"}\n'


def test_a_template_may_refuse() -> None:
    template = SandboxedTemplate("{{ raise_exception('no system role') }}")
    with pytest.raises(TemplateFailed, match="no system role"):
        template.render()


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ 'x' * 10**9 }}",
        "{{ ('x' * 4000000) * 4000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 4000 }}{% endfor %}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ 'x'.ljust(999999999) | length }}",
        "{{ 'x' | center(999999999) | length }}",
        "{{ lipsum(n=99999) }}",
        "{% set n = namespace(x='x') %}{% for i in range(40) %}"
        "{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | length }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_a_hostile_template_is_stopped(source: str) -> None:
    with pytest.raises(TemplateFailed):
        SandboxedTemplate(source).render(messages=[])


def test_a_broken_template_is_named() -> None:
    with pytest.raises(TemplateFailed, match="broken"):
        SandboxedTemplate("{% for %}")


def spin(end: float) -> None:
    while time.monotonic() < end:
        pass


def test_work_that_ends_just_at_the_limit_neither_locks_up_nor_is_hit_later() -> None:
    ended = []

    def work() -> None:
        for _ in range(1500):
            end = time.monotonic() + random.uniform(0.0008, 0.0012)
            with contextlib.suppress(TemplateFailed):
                bounded(0.001, partial(spin, end))
        ended.append(True)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == [True] * 3


class Dying:
    def __del__(self) -> None:
        spin(time.monotonic() + 0.4)


def test_work_is_ended_although_the_limit_strikes_while_an_object_dies() -> None:
    def work() -> None:
        Dying()  # Python ignores what is raised in there
        spin(time.monotonic() + 5)

    with pytest.raises(TemplateFailed, match="longer than"):
        bounded(0.1, work)
