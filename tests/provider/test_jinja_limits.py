"""Hostile chat templates: none takes the machine's memory, none outlasts its time."""

from __future__ import annotations

import contextlib
import gc
import json
import subprocess
import sys
from functools import cache

import pytest

from app.provider.generation.jinja_limits import TemplateFailed
from app.provider.generation.jinja_sandbox import SandboxedTemplate
from tests.selection import selection

pytestmark = pytest.mark.slow

MEGABYTES = 100
MOST_UNITS = 300
"""Of processor time: the 0.3 s that a template has are 12 on a fast machine, fewer on a slow one,
and then a step of the library that nothing interrupts may still be running."""

BIG = "{% set b = 'x' * 4000000 %}"
WIDE = "{% set b = '\U0001f642' * 1000000 %}"
PERIODIC = "'x' * 100000 ~ 'y' ~ 'x' * 100000"


def _grown(step: str, start: str = "'ab'") -> str:
    """Forty times what may double."""
    loop = "{% for i in range(40) %}{% set n.x = " + step + " %}{% endfor %}"
    return "{% set n = namespace(x=" + start + ") %}" + loop + "{{ n.x | length }}"


def _nested(step: str, start: str) -> str:
    """A value in which a value stands twice in which a value stands twice."""
    loop = "{% for i in range(60) %}{% set n.x = " + step + " %}{% endfor %}"
    return "{% set n = namespace(x=" + start + ") %}" + loop + "{{ n.x }}"


def _kept(made: str, before: str = BIG) -> str:
    """A list of ever more that is made."""
    loop = "{% for i in range(1000) %}{% set n.l = n.l + [" + made + "] %}{% endfor %}"
    return before + "{% set n = namespace(l=[]) %}" + loop


PADDED = (
    *("'%*s' % (2000000000, 'x')", "'%2000000000d' % 1", "'%.2000000000f' % 1"),
    *("'%(a)2000000000s' % {'a': 1}", "'%-*s' % (-2000000000, 'x')", "'%*d' | format(10**9, 1)"),
    *("('%s' * 1000) | format(*['x' * 100000] * 1000)", "('%1000000000d' | safe) % 1"),
    *("'{:1000000000}'.format(1)", "'{:{w}}'.format(1, w=10**9)", "'{:{s}}'.format(1, s='9' * 9)"),
    *("('{0}' * 100000).format('x' * 100000)", "'{a:1000000000}'.format_map({'a': 1})"),
    *("('{:1000000000}' | attr('format'))(1)", "'{:1000000000}'['format'](1)"),
    *("'x' | center(10**9)", "'x'.center(10**9)", "'x'.ljust(10**9)", "'x'.rjust(10**9)"),
    *("'x'.zfill(10**9)", "'\\t'.expandtabs(10**9)", "('\\t' * 100000).expandtabs(tabsize=9999)"),
    *("'x\\ny' | indent(10**9)", "('x\\n' * 100000) | indent('y' * 100000)"),
    *("('x\\n' * 2000000) | indent(0)", "'x y' | wordwrap(1, wrapstring='y' * 10**8)"),
    *("('x ' * 40000) | wordwrap(1, true, 'y' * 40000)", "('x' * 4000000) | wordwrap(1)"),
    *("{'a': [1]} | tojson(indent=10**9)", "{'a': 1} | tojson(indent='x' * 10**8)"),
    *(
        "range(99999) | list | tojson(indent=9999)",
        "range(99999) | list | tojson(separators=(b, b))",
    ),
)
JOINED = (
    *("'x' * 10**10", "'x' * 4000000 * 4000000", "10**9 * 'x'", "[1] * 10**9", "(1,) * 10**9"),
    *("['x' * 100000] * 100000 | join", "(['x' * 1000] * 10000) | join", "range(99999) | join(b)"),
    *("b.join(b)", "b.join(['x'] * 10000)", "(b | safe).join([1] * 100000)", "''.join(w)"),
    *("b | replace('x', b)", "b.replace('', b)", "'x'.translate({120: b})", "b | replace('', b)"),
    *("([[1] * 1000] * 1000) | sum(start=[])", "([b] * 100) | sum(start=())", "b | e | length"),
    *("b.split('x')", "('a ' * 2000000).split()", "('a\\n' * 2000000).splitlines()", "b | title"),
    *("w | list", "w | batch(1) | list", "w | slice(1) | first", "w | map('upper') | list"),
    *("w | sort", "w | unique | list", "w | groupby('x')", "dict(w)", "cycler(*w)", "b | list"),
    *("[1] | batch(10**9, 'x') | list", "[1] | slice(10**9) | list", "range(10**9) | list"),
    *("range(99999) | map('string') | map('center', 10**5) | list", "lipsum(n=99999)"),
    *("[{}] | map(attribute='a.' * 2000000) | list", "[{}] | sort(attribute='a,' * 2000000)"),
    *("strftime_now('%Y' * 1000000)", "strftime_now('%9999999999Y' * 99)", "raise_exception(b)"),
)
COMPUTED = (
    *("9 ** 9 ** 9", "2 ** 10**9", "5 | round(-10**9)", "(b | int) ~ b", "b.nope.nope", "b % 1"),
    *("b.rfind(p)", "b.rindex(p)", "b.rsplit(p)", "b.rpartition(p)", "b.find(p)", "b.count(p)"),
    *("b.strip(p)", "b | trim(p)", "p in b", "{b: 1}[p]", "'1 ' * 2000000 % 1"),
)
GROWING = (
    *("n.x + n.x", "n.x ~ n.x", "n.x * 2", "[n.x, n.x] | join", "'%s%s' % (n.x, n.x)"),
    *("'{0}{0}'.format(n.x)", "n.x.join(['a', 'b', 'c'])", "n.x.replace('a', n.x)"),
    *("n.x | tojson | tojson", "(n.x ~ n.x)[::-1]", "(n.x ~ n.x) | upper", "n.x | e ~ n.x"),
)
USES = (
    *(
        "{{ n.x }}",
        "{{ n }}",
        "{{ [n] }}",
        "{{ n.x ~ '' }}",
        "{{ n.x | string }}",
        "{{ n.x == n.x }}",
    ),
    *(
        "{{ '%s' % (n.x,) }}",
        "{{ '{!r}'.format(n.x) }}",
        "{{ [n.x] | tojson }}",
        "{{ n.x is lower }}",
    ),
    *(
        "{{ [n.x] | join }}",
        "{{ n.x | trim }}",
        "{{ '{}'.format(n.x) }}",
        "{{ raise_exception(n.x) }}",
    ),
    *(
        "{{ [].index(n.x) }}",
        "{{ {}[n.x].y }}",
        "{{ [n.x, n.x] | sort }}",
        "{{ ('' | safe) % n.x }}",
    ),
)
"""What may be done with a value in which others stand."""
HEAVY = "{% set n = namespace(x=('\U000e0001' * 1000,) * 1000) %}"
"""A value that is as heavy as one may be, and ten times as long when it is written."""
SOURCES = [
    *(
        BIG + "{% set w = '\U0001f642' * 1000000 %}{% set p = " + PERIODIC + " %}{{ " + each + " }}"
        for each in (*PADDED, *JOINED, *COMPUTED)
    ),
    *(_grown(each) for each in GROWING),
    *(_grown(each, "[1]") for each in ("n.x + n.x", "n.x * 2")),
    _grown("n.x | forceescape", "'<'"),
    _grown("(n.x + n.x).upper()", "'\u0149'"),
    _grown("n.x + '<' * 100000", "'' | safe"),
    "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x %}{{ n.x }}{{ n.x }}"
    "{% endset %}{% endfor %}",
    *(
        "{% set n = namespace(x=1) %}{% for i in range(60) %}{% set m = namespace() %}"
        "{% set m.a = n.x %}{% set m.b = n.x %}{% set n.x = m %}{% endfor %}" + use
        for use in USES
    ),
    *(HEAVY + use for use in USES),
    *(
        _nested(step, start)
        for step, start in (
            ("[n.x, n.x]", "['x']"),
            ("(n.x, n.x)", "('x',)"),
            ("{'a': n.x, 'b': n.x}", "{}"),
            ("dict(a=n.x, b=n.x)", "{}"),
            ("namespace(a=n.x, b=n.x)", "1"),
            ("cycler(n.x, n.x).items", "()"),
            ("[n.x, n.x] | batch(2) | list", "[]"),
            ("[(1, n.x)] | groupby(1)", "()"),
            ("[{}, {}] | map(attribute='q', default=n.x) | list", "[]"),
        )
    ),
    "{% set n = namespace(x=()) %}{% macro m() %}{% set n.x = varargs %}{% endmacro %}"
    "{% for i in range(60) %}{{ m(n.x, n.x) }}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x=()) %}{% macro m() %}{% set n.x = kwargs %}{% endmacro %}"
    "{% for i in range(60) %}{{ m(a=n.x, b=n.x) }}{% endfor %}{{ n.x }}",
    "{% set n = namespace() %}{% set n.me = [n, n] %}{{ n }}",
    _kept("b[i:]"),
    _kept("b[i:]", WIDE),
    _kept("b ~ '\U0001f642' ~ i"),
    _kept("b.replace('x', '\U0001f642', 1)"),
    _kept("b | upper"),
    _kept("dict(b)", "{% set b = dict(range(50000) | map('string') | batch(2)) %}"),
    _kept("[n.l]"),
    WIDE + "{% for c in b %}{{ c }}{% endfor %}",
    WIDE + "{% macro m() %}{{ varargs | length }}{% endmacro %}{{ m(*b) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    *(
        "{% for i in range(99999) %}{% for j in range(99999) %}" + each + "{% endfor %}{% endfor %}"
        for each in ("", "x", "{{ i * j }}", "{% set x = [1] | map('upper') %}")
    ),
    "{% macro m() %}{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}"
    "{% endfor %}{% endmacro %}{{ m() }}",
    "{% set n = namespace(g='ab') %}{% for i in range(99999) %}{% set n.g = n.g | map('upper') %}"
    "{% endfor %}{{ n.g | list }}",
]


@pytest.fixture
def sources(pytestconfig: pytest.Config) -> tuple[str, ...]:
    """Every day one source in four, of each kind some: each of them may take all of its time."""
    return tuple(SOURCES if selection(pytestconfig) == "all" else SOURCES[::4])


@cache
def endings(sources: tuple[str, ...]) -> tuple[dict[str, tuple[str, float]], float]:
    """How each source ended and after how many units; and the megabytes that all of them took."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.provider.hostile_rendering"],
        input=json.dumps(sources),
        capture_output=True,
        check=False,
        text=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    return dict(zip(sources, map(tuple, found["endings"]), strict=True)), found["grown"]


@pytest.mark.matrix
def test_no_template_takes_the_memory(sources: tuple[str, ...]) -> None:
    ended, grown = endings(sources)
    assert not [source for source, (ending, _) in ended.items() if ending == "no memory"]
    assert grown < MEGABYTES


def test_no_template_outlasts_its_time(sources: tuple[str, ...]) -> None:
    ended, _ = endings(sources)
    assert not [source for source, (_, took) in ended.items() if took > MOST_UNITS]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ 'x' * 10**9 }}", "more text than is allowed"),
        (BIG + "{{ [b] * 100 }}", "more together than is allowed"),
        (BIG + "{{ b.rfind(b) }}", "too long"),
        ("{{ 9 ** 9 ** 9 }}", "the number is too large"),
    ],
)
def test_the_limits_say_what_they_are(source: str, reason: str) -> None:
    with pytest.raises(TemplateFailed, match=reason):
        SandboxedTemplate(source).render()


def test_what_failed_is_let_go_at_once() -> None:
    """Else every failure of a large prompt would hold it until a collection of cycles."""
    before = sys.getallocatedblocks()
    template = SandboxedTemplate("{% set held = messages | list %}{{ raise_exception('no') }}")
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            with contextlib.suppress(TemplateFailed):
                template.render(messages=[str(number) for number in range(10_000)])
        assert sys.getallocatedblocks() - before < 20_000
    finally:
        gc.enable()
