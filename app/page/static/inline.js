/** Markdown within a line → nodes: strings, and {tag, children, href}; the time is linear. */

const DEEPEST = 16;
const SPECIAL = /[\\`*_~[\]!<\nh]/g;
const RUN = /(.)\1*/y;
const TICKS = /`+/g;
const TARGET = /\]\( ?(?:<([^<>\n]*)>|([^\s<>()]*(?:\([^\s()]*\)[^\s()]*)*))(?: "[^"\n]*")? ?\)/y;
const ADDRESS = /<((?:https?:\/\/|mailto:)[^\s<>]+)>|https?:\/\/[!#-&(-;=?-_a-~]{1,2000}/y;

/** The address if it is harmless, else null. */
function safeAddress(text) {
	const { href } = URL.canParse(text) ? new URL(text) : {};
	return /^(https?|mailto):/.test(href) ? href : null;
}

/** The nodes of a text. */
export function parseInline(text) {
	const stack = [{ marker: "", children: [] }]; // The root and open elements.
	const unclosed = new Set(); // Numbers of backticks that close nothing.
	let at = 0;

	/** Add to the innermost element; ``length`` characters are done. */
	function add(node, length = 0) {
		const { children } = stack.at(-1);
		const joins = typeof node === "string" && typeof children.at(-1) === "string";
		if (joins) children[children.length - 1] += node;
		else if (node) children.push(node);
		at += length;
	}

	const literal = (length) => add(text.substr(at, length), length);
	const depthOf = (marker) => stack.findLastIndex((open) => open.marker === marker);

	function open(marker, written = marker) {
		if (stack.length > DEEPEST) return literal(written.length);
		stack.push({ marker, written, children: [] });
		at += written.length;
	}

	/** Make text of deeper markers. */
	function flatten(depth) {
		for (const { written, children } of stack.splice(depth + 1)) {
			add(written);
			children.forEach((child) => add(child));
		}
	}

	function close(depth, tag, length, href) {
		flatten(depth);
		const { children } = stack.pop();
		add({ tag, href, children: children.length ? children : [href] }, length);
	}

	function match(pattern, from = at) {
		pattern.lastIndex = from;
		return pattern.exec(text);
	}

	function code() {
		const { length } = match(RUN)[0];
		let end = unclosed.has(length) ? null : match(TICKS, at + length);
		while (end && end[0].length !== length) end = match(TICKS, TICKS.lastIndex);
		if (!end) {
			unclosed.add(length);
			return literal(length);
		}
		const inside = text.slice(at + length, end.index).replace(/^ (?=`)|(?<=`) $/g, "");
		add({ tag: "code", children: [inside] }, TICKS.lastIndex - at);
	}

	function address() {
		const found = match(ADDRESS);
		const shown = found && (found[1] ?? found[0].replace(/[.,:;!?)\]*_~]+$/, ""));
		const href = shown && depthOf("[") < 0 ? safeAddress(shown) : null;
		if (!href) return literal(1);
		add({ tag: "a", href, children: [shown] }, found[1] ? found[0].length : shown.length);
	}

	function closeLink() {
		const depth = depthOf("[");
		const found = depth > 0 && match(TARGET);
		const href = found && safeAddress(found[1] ?? found[2]);
		if (href) return close(depth, "a", found[0].length, href);
		if (depth > 0) flatten(depth - 1);
		literal(1);
	}

	function emphasis(character) {
		const before = text[at - 1] ?? " ";
		let left = match(RUN)[0].length;
		const after = text[at + left] ?? " ";
		const isWithin = character === "_" && /[\p{L}\p{N}]{2}/u.test(before + after);
		if (isWithin || (character === "~" && left !== 2)) return literal(left);
		for (let closed; left && /\S/.test(before) && (closed = closeEmphasis(character, left)); ) left -= closed;
		if (/\s/.test(after)) return literal(left);
		for (; left > 0; left -= 2) open(character.repeat(Math.min(left, 2)));
	}

	/** Close the innermost such element; gives the length of its marker, or 0. */
	function closeEmphasis(character, most) {
		const depth = Math.max(depthOf(character), depthOf(character + character));
		const { marker, children } = stack[Math.max(depth, 0)];
		const isEmpty = !children.length && depth === stack.length - 1;
		if (depth < 1 || marker.length > most || isEmpty) return 0;
		close(depth, character === "~" ? "del" : marker[1] ? "strong" : "em", marker.length);
		return marker.length;
	}

	const special = {
		"\\": () => (/[!-/:-@[-`{-~]/.test(text[at + 1] ?? "") ? add(text[at + 1], 2) : literal(1)),
		"`": code,
		"\n": () => add({ tag: "br", children: [] }, 1),
		"[": () => open("["),
		"!": () => (text[at + 1] === "[" ? open("[", "![") : literal(1)), // No picture is loaded.
		"]": closeLink,
		"<": address,
		h: address,
	};
	while (at < text.length) {
		const found = match(SPECIAL);
		literal((found?.index ?? text.length) - at);
		if (found) (special[found[0]] ?? emphasis)(found[0]);
	}
	flatten(0);
	return stack[0].children;
}
