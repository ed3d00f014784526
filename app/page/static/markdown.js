/** Shows Markdown: makes elements and text, never HTML from text. */
import { closesFence, parseBlocks } from "./blocks.js";
import { addAll, copyButton, make } from "./dom.js";
import { t } from "./i18n.js";
import { parseInline } from "./inline.js";

const PAUSE = 33;
const REST = 4; // Rendering takes a fifth of the time at most, however long a block is.

const inline = (text) => parseInline(text).map(node);

function node(parsed) {
	if (typeof parsed === "string") return parsed;
	const { tag, href, children } = parsed;
	const link = href && { href, target: "_blank", rel: "noopener noreferrer nofollow" };
	return make(tag, link, children.map(node));
}

const elements = {
	p: ({ text }) => make("p", {}, inline(text)),
	// The page itself has the levels 1 and 2.
	heading: ({ level, text }) => make(`h${Math.min(level + 2, 6)}`, {}, inline(text)),
	hr: () => make("hr"),
	quote: ({ blocks }) => make("blockquote", {}, blocks.map(element)),
	code({ language, text }) {
		const code = make("code", {}, text);
		const button = copyButton(t("copy-code"), () => code.textContent);
		return make("div", { class: "code" }, make("div", {}, language, button), scrolling("pre", "code", code));
	},
	list({ first, items }) {
		const start = first === 1 ? null : first;
		return make(first === null ? "ul" : "ol", { start }, items.map(item));
	},
	table({ aligns, rows }) {
		const cell = (tag) => (text, at) => make(tag, { class: aligns[at] }, inline(text));
		const [head, ...body] = rows.map((row, at) => make("tr", {}, row.map(cell(at ? "td" : "th"))));
		return scrolling("div", "table", make("table", {}, make("thead", {}, head), make("tbody", {}, body)));
	},
};

const element = (block) => elements[block.type](block);

/** A part that is scrolled sideways, by keys too. */
function scrolling(tag, name, child) {
	return make(tag, { class: "wide", tabindex: 0, role: "region", "aria-label": t(name) }, child);
}

function item({ checked, blocks: [first, ...rest] }) {
	const box = make("input", { type: "checkbox", disabled: true, checked, "aria-label": t("task") });
	const start = first?.type === "p" ? inline(first.text) : first && [element(first)];
	return make("li", {}, checked === null ? null : box, start ?? [], rest.map(element));
}

/** Shows text in ``container`` while it comes; what is finished is never rendered again. */
export class LiveMarkdown {
	constructor(container, onRender) {
		Object.assign(this, { container, onRender, pause: PAUSE });
		this.reset("");
	}

	/** Show another text. */
	reset(text) {
		Object.assign(this, { tail: "", fresh: text, code: null, last: null });
		this.container.replaceChildren();
		this.flush();
	}

	/** Add text, to be shown soon. */
	append(text) {
		this.fresh += text;
		this.timer ??= setTimeout(() => this.flush(), this.pause);
	}

	/** Show now what has come. */
	flush() {
		clearTimeout(this.timer);
		this.timer = null;
		const { fresh } = this;
		if (!fresh) return;
		const began = performance.now();
		this.fresh = "";
		this.tail += fresh;
		if (!this.extendsCode(fresh)) this.render();
		this.pause = Math.max(PAUSE, REST * (performance.now() - began));
		this.onRender();
	}

	/** Add to code that is still open, unless it may have ended. */
	extendsCode(fresh) {
		if (!this.code) return false;
		const lines = (this.code.line + fresh).split("\n");
		if (lines.some((line) => closesFence(line, this.code.fence))) return false;
		this.code.line = lines.at(-1);
		this.code.text.appendData(fresh);
		return true;
	}

	/** Render what is not finished; all blocks but the last are finished then. */
	render() {
		const blocks = parseBlocks(this.tail);
		const last = blocks.at(-1);
		this.last?.remove();
		addAll(this.container, blocks.map(element));
		this.last = last ? this.container.lastElementChild : null;
		if (blocks.length > 1) this.tail = this.tail.split("\n").slice(last.start).join("\n");
		const isOpen = last?.text && last.isClosed === false && this.tail.startsWith(last.fence);
		const text = isOpen && this.last.querySelector("code").firstChild;
		this.code = isOpen ? { fence: last.fence, line: last.text.split("\n").at(-1), text } : null;
	}
}
