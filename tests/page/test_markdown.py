"""What the page makes of Markdown: values first, then elements, and nothing that runs."""

from __future__ import annotations

from typing import Any

import httpx

from tests.page.conftest import OpenPage
from tests.page.page import Page

HOSTILE = (
    "<script>window.hacked = 1</script>\n\n<img src=x onerror='window.hacked = 1'>\n\n"
    "[a](javascript:window.hacked=1) [b](data:text/html,x) [c](JaVaScRiPt:1) <javascript:x>\n\n"
    '![d](https://example.org/x.png "t") `<b>` **<i>** | <u> |\n\n'
    "# <iframe src=x>\n\n| <a> |\n|-|\n| <img src=x onerror='window.hacked=1'> |\n"
)
SLOW = (
    "*",
    "**a ",
    "_a ",
    "[",
    "](",
    "](http://a",
    "`",
    "<http://a",
    "~~a ",
    "![",
    "> ",
    "- ",
    "# ",
)


def plain(nodes: list[Any]) -> list[Any]:
    """Nodes as strings and pairs."""
    return [
        node if isinstance(node, str) else (node["tag"], *plain(node["children"])) for node in nodes
    ]


INLINE: list[tuple[str, list[Any]]] = [
    ("a **b *c* d** e", ["a ", ("strong", "b ", ("em", "c"), " d"), " e"]),
    ("***x***", [("strong", ("em", "x"))]),
    ("snake_case_name 2 * 3 * 4", ["snake_case_name 2 * 3 * 4"]),
    ('**"말"**은', [("strong", '"말"'), "은"]),
    ("`a``b` ``c`d``", [("code", "a``b"), " ", ("code", "c`d")]),
    ("~~x~~ ~y~", [("del", "x"), " ~y~"]),
    ("\\*no\\* a\\b", ["*no* a\\b"]),
    ("[**b**](http://x.y)", [("a", ("strong", "b"))]),
    ("[x](javascript:1)", ["[x](javascript:1)"]),
    ("see https://x.com/a_b.", ["see ", ("a", "https://x.com/a_b"), "."]),
    ("https://x.com/가", [("a", "https://x.com/"), "가"]),
    ("a\nb", ["a", ("br",), "b"]),
    ("**open [a", ["**open [a"]),
    ("<b>", ["<b>"]),
]

BLOCKS: list[tuple[str, list[Any]]] = [
    ("# H #\ntext\nmore", [("heading", "H"), ("p", "text\nmore")]),
    (
        "- a\n  - b\n\n- c\n\nd",
        [("list", [[("p", "a"), ("list", [[("p", "b")]])], [("p", "c")]]), ("p", "d")],
    ),
    ("- a\n\t- b", [("list", [[("p", "a"), ("list", [[("p", "b")]])]])]),
    ("> q\n> - z\n\n---", [("quote", [("p", "q"), ("list", [[("p", "z")]])]), ("hr", None)]),
    ("```py\nx\ty\n\n```\nz", [("code", "x\ty\n"), ("p", "z")]),
    ("```\nopen", [("code", "open")]),
    ("|a|b|\n|-|:-:|\n|1|2\\|3|\n|4|", [("table", [["a", "b"], ["1", "2|3"], ["4", ""]])]),
    ("a | b\nno table", [("p", "a | b\nno table")]),
    ("<div>\n\n</div>", [("p", "<div>"), ("p", "</div>")]),
]


def test_within_a_line(page: Page) -> None:
    texts = [text for text, _ in INLINE]
    found = page.module("inline.js", "arguments[0].map((text) => m.parseInline(text))", texts)
    assert [(text, plain(nodes)) for text, nodes in zip(texts, found, strict=True)] == INLINE


def shape(blocks: list[Any]) -> list[Any]:
    """Blocks as their types, with what is in them."""
    return [(one["type"], _inside(one)) for one in blocks]


def _inside(block: dict[str, Any]) -> Any:
    match block["type"]:
        case "list":
            return [shape(item["blocks"]) for item in block["items"]]
        case "quote":
            return shape(block["blocks"])
        case "table":
            return block["rows"]
        case _:
            return block.get("text")


def test_blocks(page: Page) -> None:
    texts = [text for text, _ in BLOCKS]
    found = page.module("blocks.js", "arguments[0].map((text) => m.parseBlocks(text))", texts)
    assert [(text, shape(blocks)) for text, blocks in zip(texts, found, strict=True)] == BLOCKS


def test_time_grows_with_the_text_only(page: Page) -> None:
    # The square of 100,000 would take minutes, and the driver give up.
    for piece in SLOW:
        whole = "m.parseBlocks(arguments[0].repeat(100000)).length"
        assert page.module("blocks.js", whole, piece) > 0, piece
        whole = "m.parseInline(arguments[0].repeat(100000)).length"
        assert page.module("inline.js", whole, piece) > 0, piece


def test_nothing_in_an_answer_runs_or_loads(page: Page, server: httpx.Client) -> None:
    page.ask(HOSTILE)
    inside = ".assistant > .markdown :is(script, img, iframe, b, i, u)"
    assert page.browser.run("return document.querySelectorAll(arguments[0]).length", inside) == 0
    links = "return [...document.querySelectorAll('.markdown a')].map((link) => link.href)"
    assert page.browser.run(links) == ["https://example.org/x.png"]
    assert page.browser.run("return window.hacked") is None
    title = "<img src=x onerror='window.hacked = 1'>"
    server.patch(f"/api/v6/conversations/{page.id}", json={"title": title})
    page.browser.call("refresh")
    page.browser.wait("document.getElementById('title').textContent === arguments[0]", title)
    page.browser.wait(
        "document.querySelector('#conversations span')?.textContent === arguments[0]", title
    )
    assert page.browser.run("return window.hacked") is None


def test_text_in_pieces_looks_like_text_as_a_whole(page: Page) -> None:
    text = "# A\n\n- a\n- **b\nc**\n\n```py\nx = `1`\n``\n```\n\n|a|\n|-|\n|b|\n\nend ~~x~~ `y"
    script = (
        "const shown = (pieces) => { const live = new m.LiveMarkdown();"
        "for (const piece of pieces) { live.append(piece); live.flush(); }"
        "return live.element.innerHTML; };"
        "const whole = shown([arguments[0]]); const pieces = shown([...arguments[0]]);"
        "return whole === pieces ? true : [whole, pieces]"
    )
    script = f"const m = await import('/assets/page/markdown.js'); {script}"
    # Arrow functions see the arguments of the script.
    assert page.browser.run(script, text) is True


def test_code_says_its_language_and_is_copied(page_of: OpenPage, server: httpx.Client) -> None:
    page = page_of(server)
    page.browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.choose("echo")
    page.ask("```py\nprint(1)\n```")
    assert page.browser.text(".code > div").startswith("py")
    page.browser.click(".code button")
    page.browser.wait("window.copied === 'print(1)'")
