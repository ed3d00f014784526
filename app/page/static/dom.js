/** Elements of the page. Text becomes nodes of text and nothing else. */
import { t } from "./i18n.js";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Make an element: "on…" are listeners, false leaves out; children are nodes, texts, lists, null. */
export function make(tag, attributes, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes ?? {})) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
	}
	return addAll(element, children.flat());
}

/** Append any number of children; one call cannot take so many arguments. */
export function addAll(element, children) {
	for (const child of children) if (child != null) element.append(child);
	return element;
}

/** A picture of the sprite in index.html. */
export function icon(name) {
	const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
	use.setAttribute("href", `#i-${name}`);
	svg.setAttribute("aria-hidden", "true");
	svg.append(use);
	return svg;
}

/** A button with an icon; its name is shown when it is pointed at. */
export function iconButton(name, label, onclick, more) {
	const attributes = { type: "button", class: "quiet", title: label, "aria-label": label, onclick };
	return make("button", { ...attributes, ...more }, icon(name));
}

/** A button that copies what ``text()`` gives. */
export function copyButton(label, text) {
	const button = iconButton("copy", label, async () => {
		const isCopied = await copy(text());
		button.replaceChildren(icon(isCopied ? "check" : "close"));
		byId("status").textContent = isCopied ? t("copied") : "";
		setTimeout(() => button.replaceChildren(icon("copy")), 1200);
	});
	return button;
}

async function copy(text) {
	if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
	// Without TLS browsers have no clipboard.
	const field = make("textarea", { class: "unseen" });
	field.value = text;
	document.body.append(field);
	field.select();
	const isCopied = document.execCommand("copy");
	field.remove();
	return isCopied;
}
