"""The language of prompt templates: what it can do, and what it refuses."""

from __future__ import annotations

import threading
import tracemalloc

import pytest

from app.provider.generation.jinja_limits import TemplateFailed
from app.templates.language import MAX_ADDED_CHARACTERS, PromptTemplate

HANGUL = "{% set b = '가' * 500000 %}"
TWICE = "{% set n = namespace(x='x') %}{% for i in range(60) %}"


def render(source: str, **values: object) -> str:
    return PromptTemplate(source).render(values)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ x | upper ~ '-' ~ 3 }}", "ONE TWO-3"),
        ("{% for w in x.split(' ') %}{{ loop.index }}{{ w }} {% endfor %}", "1one 2two "),
        ("{% if x in ['a', 'one two'] %}yes{% else %}no{% endif %}", "yes"),
        ("{{ {'a': 'A'}.get(x, '?') }}", "?"),
        ("{{ 7 // 2 + 3 * 1.5 - 1 % 2 }}", "6.5"),
        ("{{ x.split(' ') | join(', ') }} {{ x | replace('o', '0') }}", "one, two 0ne tw0"),
        ("{{ 2.345 | round(2) }} {{ '3' | int + 1 }} {{ x | tojson }}", '2.35 4 "one two"'),
        ("{% set y %}{{ x }}!{% endset %}{{ y * 2 }}", "one two!one two!"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% for a, b in {'k': 'v'}.items() %}{{ a }}={{ b }}{% endfor %}", "k=v"),
        ("{{ 'a' if x is string else 'b' }}{{ none }}{{ true }}", "aTrue"),
        ("{{ x | list | length }} {{ x.split() | sort | join('-') }}", "7 one-two"),
        ("{{ 'abca' | unique | join }} {{ 'xax' | trim('x') }}{{ 7 | trim }}", "abc a7"),
        ("{{ {'a': 1, 'b': 2} | list | join }}{{ 'xax'.strip('x') }}", "aba"),
    ],
)
def test_the_language_has_what_prompts_need(source: str, expected: str) -> None:
    assert render(source, x="one two") == expected


def test_it_knows_the_names_that_it_uses() -> None:
    source = "{% set a = b %}{{ a }}{% for c in range(d) %}{{ c }}{% endfor %}"
    assert PromptTemplate(source).variables == {"b", "d"}


def test_a_value_is_text_and_never_a_template() -> None:
    assert render("{{ x }}", x="{{ 7 * 7 }}{% for %}<b>") == "{{ 7 * 7 }}{% for %}<b>"


def test_a_long_value_does_not_count_against_the_limit() -> None:
    assert (
        render("{{ x }}!", x="x" * 2 * MAX_ADDED_CHARACTERS) == "x" * 2 * MAX_ADDED_CHARACTERS + "!"
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ x['__class__'] }}",
        "{{ x | attr('__class__') }}",
        "{{ x.nothing }}",
        "{{ nothing }}",
        "{{ range.__init__.__globals__ }}",
        "{% for a in x %}{{ loop.__init__.__globals__ }}{% endfor %}",
        "{% include 'a' %}",
        "{% import 'a' as b %}",
        "{% extends 'a' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% filter upper %}x{% endfilter %}",
        "{{ x[::-1] }}",
        "{{ range(9) }}",
        "{{ [1, 2] }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "{{ 1.5 | round(999999999, 'ceil') }}",
        "{{ 'ff' | int(base=16) }}",
        "{{ 'x' | nofilter }}",
        "{% if x is notest %}{% endif %}",
        # Nested lists: comparing two of these in C takes longer than the world lasts.
        "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}"
        "{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
        "{% set t = (x, x) %}",
        "{% set n = namespace() %}{% set n.me = n %}{{ n }}",
        "{% set n = namespace() %}{% set n.me = n %}{{ n | tojson }}",
        "{% for a in x %}{{ loop.cycle(*x) }}{% endfor %}",
        "{{ x | default(*x) }}",
        "{{ {'a': [x]} }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% for a in 'x' %}" * 30 + "{% endfor %}" * 30,
        "{% for a in x %}",
    ],
)
def test_a_trick_is_refused(source: str) -> None:
    with pytest.raises(TemplateFailed):
        render(source, x="text")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10000000 }}",
        "{{ 10000000 * 'x' }}",
        "{% for a in range(99999) %}{{ 'x' * 4000 }}{% endfor %}",
        TWICE + "{% set n.x = n.x + n.x %}{% endfor %}",
        TWICE + "{% set n.x = n.x ~ n.x %}{% endfor %}",
        TWICE + "{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}",
        TWICE + "{% set n.x = n.x | replace('x', 'xx') %}{% endfor %}",
        "{{ ('x' * 10000) | replace('', 'y' * 10000) }}",
        "{{ range(99999) | list | join('y' * 9999) }}",
        "{{ [1] * 99999999 }}",
        "{{ ([1] * 9999) | tojson }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '%*d' % (99999999, 1) }}",
        "{{ '{:{w}}'.format(1, w=99999999) }}",
        "{{ 'x'.ljust(99999999) }}",
        "{{ 'x' | center(99999999) }}",
        "{{ (1).to_bytes(99999999, 'big') }}",
        "{% set n = namespace(x='x' * 200000) %}"
        "{% for i in range(99999) %}{% set y = n.x.split('x') %}{% endfor %}",
        # A list takes up to 88 bytes for a letter.
        HANGUL + "{{ b | list | length }}",
        HANGUL + "{{ b | sort | length }}",
        HANGUL + "{{ b | join | length }}",
        "{% set b = '가 ' * 260000 %}" + "{{ b.split() | length }}" * 2,
        "{% set b = '가\n' * 260000 %}" + "{{ b.splitlines() | length }}" * 2,
    ],
)
def test_nothing_large_is_ever_made(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TemplateFailed):
            render(source, x="text")
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "source",
    [
        *("{{ x.strip(y) }}", "{{ x.lstrip(y) }}", "{{ x.rstrip(y) }}", "{{ x | trim(y) }}"),
        *("{{ x.count(y) }}", "{{ x.rfind(y) }}", "{{ x.rsplit(y) }}"),
    ],
)
def test_a_search_that_would_hold_the_interpreter_is_refused(source: str) -> None:
    """Each letter of ``x`` is compared with each of ``y``: seconds in one call into C."""
    with pytest.raises(TemplateFailed, match=r"to strip|unsafe"):
        render(source, x="가" * 100_000, y="각" * 100_000 + "가")


def test_what_a_long_message_needs_is_within_the_allowance() -> None:
    words = "{% for w in x.split() %}{{ w }} {% endfor %}{{ x.splitlines() | length }}"
    text = "word " * 20_000
    assert render(words + "{{ x.strip(' \n') | length }}", x=text) == text + "199999"


def test_endless_loops_end_in_many_threads_at_once_and_leave_the_threads_alive() -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    template, rendered = PromptTemplate(loop), list[str]()

    def ask() -> None:
        for _ in range(2):
            with pytest.raises(TemplateFailed, match=r"longer than 0\.5 s"):
                template.render({})
            rendered.append(render("still {{ x }}", x="here"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rendered == ["still here"] * 8


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("one\n{{ x | nofilter }}", "there is no filter 'nofilter' here (line 2 of the text)"),
        ("\n\n{% macro m() %}{% endmacro %}", "Macro is not available here (line 3 of the text)"),
        ("{% for a in x %}", "line 1 of the text"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
    ],
)
def test_the_message_of_a_broken_source_names_its_line(source: str, message: str) -> None:
    with pytest.raises(TemplateFailed) as failed:
        PromptTemplate(source)
    assert message in str(failed.value)
