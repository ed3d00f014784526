/** Shows Markdown: makes elements and text, never HTML from text. */
import { parseBlocks } from "./blocks.js";
import { copyButton, make } from "./dom.js";
import { parseInline } from "./inline.js";

const PAUSE = 33;
const REST = 4; // Rendering takes a fifth of the time at most.

const inline = (text) => parseInline(text).map(node);

function node(parsed) {
	if (typeof parsed === "string") return parsed;
	const { tag, href, children } = parsed;
	return make(tag, href && { href, target: "_blank", rel: "noopener nofollow" }, children.map(node));
}

const elements = {
	p: ({ text }) => make("p", {}, inline(text)),
	// The page itself has the levels 1 and 2.
	heading: ({ level, text }) => make(`h${Math.min(level + 2, 6)}`, {}, inline(text)),
	hr: () => make("hr"),
	quote: ({ blocks }) => make("blockquote", {}, blocks.map(element)),
	code({ language, text }) {
		const code = make("code", {}, text);
		const row = make("div", { className: "row" }, language, copyButton(() => code.textContent));
		return make("div", { className: "code" }, row, wide("pre", code));
	},
	list: ({ first, items }) => make(first === null ? "ul" : "ol", first && { start: first }, items.map(item)),
	table({ aligns, rows }) {
		const cell = (tag) => (text, at) => make(tag, { className: aligns[at] }, inline(text));
		const [head, ...body] = rows.map((row, at) => make("tr", {}, row.map(cell(at ? "td" : "th"))));
		return wide("div", make("table", {}, make("thead", {}, head), make("tbody", {}, body)));
	},
};

const element = (block) => elements[block.type](block);

/** A part that is scrolled sideways, by keys too. */
const wide = (tag, child) => make(tag, { className: "wide", tabIndex: 0 }, child);

function item({ blocks: [first, ...rest] }) {
	const start = first?.type === "p" ? inline(first.text) : first && [element(first)];
	return make("li", {}, start ?? [], rest.map(element));
}

/** Shows text in its ``element`` while it comes; what is finished is rendered once. */
export class LiveMarkdown {
	element = make("div", { className: "markdown" });

	constructor() {
		this.reset("");
	}

	reset(text) {
		Object.assign(this, { tail: "", fresh: text, last: null, pause: PAUSE });
		this.element.replaceChildren();
		this.flush();
	}

	/** Add text, to be shown soon. */
	append(text) {
		this.fresh += text;
		this.timer ??= setTimeout(() => this.flush(), this.pause);
	}

	flush() {
		clearTimeout(this.timer);
		this.timer = null;
		if (!this.fresh) return;
		const began = performance.now();
		this.tail += this.fresh;
		this.fresh = "";
		this.render();
		this.pause = Math.max(PAUSE, REST * (performance.now() - began));
	}

	/** Render what is not finished: then only the last block is not. */
	render() {
		const blocks = parseBlocks(this.tail);
		this.last?.remove();
		for (const block of blocks) this.element.append(element(block));
		this.last = blocks.length ? this.element.lastElementChild : null;
		if (blocks.length > 1) this.tail = this.tail.split("\n").slice(blocks.at(-1).start).join("\n");
	}
}
