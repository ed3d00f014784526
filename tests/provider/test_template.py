from __future__ import annotations

import contextlib
import random
import threading
import time
from functools import partial

import pytest

from app.provider.generation import jinja_sandbox
from app.provider.generation.jinja_limits import TemplateFailed, TemplateRefused, bounded
from app.provider.generation.jinja_sandbox import SandboxedTemplate
from tests.cpu_time import unit


def test_a_template_sees_its_variables() -> None:
    source = "{% for m in messages %}\n{{ m.role }}: {{ m | tojson }}\n{% endfor %}"
    rendered = SandboxedTemplate(source).render(messages=[{"role": "user", "text": "안녕 <b>"}])
    assert rendered == 'user: {"role": "user", "text": "안녕 <b>"}\n'


def test_a_template_may_refuse() -> None:
    template = SandboxedTemplate("{{ raise_exception('no system role') }}")
    with pytest.raises(TemplateRefused, match="no system role"):
        template.render()


def test_another_failure_is_no_refusal() -> None:
    with pytest.raises(TemplateFailed, match="undefined") as caught:
        SandboxedTemplate("{{ message.content }}").render()
    assert not isinstance(caught.value, TemplateRefused)


def test_a_mark_before_a_template_is_no_text_of_it() -> None:
    assert SandboxedTemplate("\ufeff{{ 1 }}\ufeff").render() == "1\ufeff"


@pytest.fixture
def all_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jinja_sandbox, "_SECONDS", 600.0)


@pytest.mark.usefixtures("all_the_time_there_is")
def test_what_a_template_is_given_may_be_long() -> None:
    content = "a🙂" * 2_000_000
    template = SandboxedTemplate("{{ '<|user|>' + messages[0].content | trim ~ '<|end|>' }}")
    rendered = template.render(messages=[{"role": "user", "content": content}])
    assert rendered == f"<|user|>{content}<|end|>"


@pytest.mark.usefixtures("all_the_time_there_is")
def test_a_long_conversation_may_be_put_together_bit_by_bit() -> None:
    source = (
        "{% set ns = namespace(text='', seen=[]) %}{% for message in messages %}"
        "{% set ns.seen = ns.seen + [message] %}{% set ns.text = ns.text + message.content %}"
        "{% if ns.seen | selectattr('role', 'equalto', 'system') | list %}{% endif %}"
        "{% endfor %}{{ ns.text }}"
    )
    messages = [{"role": "user", "content": f"{number} " * 40} for number in range(400)]
    rendered = SandboxedTemplate(source).render(messages=messages)
    assert rendered == "".join(message["content"] for message in messages)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for %}", r"Expected an expression.*\(line 1\)"),
        ("{{ 1", "end of"),
        ("\n{% nope %}", r"unknown tag 'nope'.*line 2"),
        ("{{ 1 | nope }}", "No filter named 'nope'"),
        ("{{ 1 | pprint }}", "No filter named 'pprint'"),
        ("{% include 'other' %}", "Include is not available"),
        ("{% generation %}x", "Unexpected end of template"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
        ("{% if a %}" * 3000 + "{% endif %}" * 3000, "nested too deeply"),
        ("{% if a %}" * 99 + "{% endif %}" * 99, "too many levels"),
        ("{% for a in b %}" * 30 + "{% endfor %}" * 30, "too many statically nested"),
        ("{{ " + "9" * 5000 + " }}", "limit"),
        ("{{ a }}" * 9000, "more than 8000 parts"),
        ("x" * 300_000, "300000 characters"),
    ],
    ids=str.split(
        "for end tag name filter include open deep deeper levels blocks digits parts long"
    ),
)
def test_a_template_that_does_not_compile_says_why(source: str, reason: str) -> None:
    began = time.thread_time()
    with pytest.raises(TemplateFailed, match=f"^The template is broken: .*{reason}") as caught:
        SandboxedTemplate(source)
    assert len(str(caught.value)) < 1000
    assert time.thread_time() - began < 200 * unit()


def spin(end: float) -> None:
    while time.monotonic() < end:
        pass


@pytest.mark.slow
@pytest.mark.matrix
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
        spin(time.monotonic() + 60)

    with pytest.raises(TemplateFailed, match="longer than"):
        bounded(0.1, work)


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clock of a thread here")
def test_a_thread_that_gets_no_processor_has_more_time() -> None:
    bounded(0.5, partial(time.sleep, 0.6))


def test_a_thread_that_gets_no_processor_has_no_more_than_four_times_as_much() -> None:
    def work() -> None:
        for _ in range(6000):
            time.sleep(0.01)

    with pytest.raises(TemplateFailed, match="longer than"):
        bounded(0.02, work)
