/**
 * Markdown → blocks {type, start, …}: p {text}, heading {level, text}, hr, quote {blocks}, code {language,
 * text}, list {first (null: bullets), items: [{blocks}]}, table {aligns, rows}, the first row being the head.
 */

const DEEPEST = 8;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*(\S*)/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( {1,4})(?=\S)|[ \t]|$)/;
const DELIMITER = /^:?-+:?$/;

/** The blocks of a text, or of its lines. */
export function parseBlocks(text, depth = 0) {
	const lines = Array.isArray(text) ? text : text.split("\n");
	const blocks = [];
	for (let start = nextFilled(lines, 0); start < lines.length; ) {
		const block = { ...blockAt(lines, start, depth), start };
		blocks.push(block);
		start = nextFilled(lines, block.end);
	}
	return blocks;
}

function nextFilled(lines, at) {
	while (at < lines.length && !lines[at].trim()) at += 1;
	return at;
}

function blockAt(lines, at, depth) {
	const line = lines[at];
	if (FENCE.test(line)) return codeAt(lines, at);
	if (HEADING.test(line)) return headingAt(lines, at);
	if (RULE.test(line)) return { type: "hr", end: at + 1 };
	if (depth < DEEPEST && QUOTE.test(line)) return quoteAt(lines, at, depth);
	if (depth < DEEPEST && ITEM.test(line)) return listAt(lines, at, depth);
	return isTable(lines, at) ? tableAt(lines, at) : paragraphAt(lines, at);
}

function codeAt(lines, at) {
	const [, fence, language] = FENCE.exec(lines[at]);
	const closes = (line) => line.startsWith(fence) && line === fence[0].repeat(line.length);
	let end = at + 1;
	while (end < lines.length && !closes(lines[end].trim())) end += 1;
	const indent = indentOf(lines[at]);
	const text = lines.slice(at + 1, end).map((line) => dedent(line, indent)).join("\n");
	return { type: "code", language, text, end: end + 1 };
}

function headingAt(lines, at) {
	const [whole, marks] = HEADING.exec(lines[at]);
	const text = lines[at].slice(whole.length).trim().replace(/[ \t]#+$/, "").trim();
	return { type: "heading", level: marks.length, text, end: at + 1 };
}

/** Columns before the first character; a tab takes four. */
function indentOf(line) {
	return /^[ \t]*/.exec(line)[0].replaceAll("\t", "    ").length;
}

/** The line without so many columns. */
function dedent(line, most) {
	const columns = Math.min(most, indentOf(line));
	return columns ? line.replace(/^[ \t]+/, (lead) => lead.replaceAll("\t", "    ").slice(columns)) : line;
}

function quoteAt(lines, at, depth) {
	let end = at;
	while (QUOTE.test(lines[end] ?? "")) end += 1;
	const inside = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
	return { type: "quote", blocks: parseBlocks(inside, depth + 1), end };
}

function listAt(lines, at, depth) {
	const marker = ITEM.exec(lines[at])[2];
	const items = [];
	let end = at;
	for (let next = at; next < lines.length; next = nextFilled(lines, end)) {
		const item = ITEM.exec(lines[next]);
		if (item?.[2].at(-1) !== marker.at(-1) || RULE.test(lines[next])) break;
		end = itemAt(lines, next, item, depth, items);
	}
	return { type: "list", first: /\d/.test(marker) ? parseInt(marker, 10) : null, items, end };
}

function itemAt(lines, at, [whole, lead, marker, gap = " "], depth, items) {
	const indent = (lead + marker + gap).length;
	const inside = [lines[at].slice(whole.length).replace(/^\[ \] /, "☐ ").replace(/^\[x\] /i, "☑ ")];
	let end = at + 1;
	for (let next; (next = nextFilled(lines, end)) < lines.length; end = next + 1) {
		const isIndented = indentOf(lines[next]) >= Math.min(indent, lead.length + 2);
		if (!isIndented && (next > end || interrupts(lines[next]))) break;
		inside.push(...lines.slice(end, next).slice(0, 1), dedent(lines[next], indent));
	}
	items.push({ blocks: parseBlocks(inside, depth + 1) });
	return end;
}

/** Whether a line cannot go on with the paragraph before it. */
function interrupts(line) {
	return [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));
}

function paragraphAt(lines, at) {
	let end = at + 1;
	while (lines[end]?.trim() && !interrupts(lines[end]) && !isTable(lines, end)) end += 1;
	return { type: "p", text: lines.slice(at, end).map((line) => line.trim()).join("\n"), end };
}

function isTable(lines, at) {
	if (!lines[at].includes("|")) return false;
	const delimiters = cells(lines[at + 1] ?? "");
	return delimiters.every((cell) => DELIMITER.test(cell)) && delimiters.length === cells(lines[at]).length;
}

function tableAt(lines, at) {
	let end = at + 2;
	while (lines[end]?.includes("|")) end += 1;
	const [head, delimiters, ...rows] = lines.slice(at, end).map(cells);
	const aligns = delimiters.map((one) => (!one.endsWith(":") ? "" : one[0] === ":" ? "center" : "end"));
	const filled = rows.map((row) => head.map((_, column) => row[column] ?? ""));
	return { type: "table", aligns, rows: [head, ...filled], end };
}

/** The cells of a row; ``\|`` does not end one. */
function cells(line) {
	const row = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
	return row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}
