/** Elements of the page. Text becomes nodes of text alone. */
import { t } from "./i18n.js";

export const byId = (id) => document.getElementById(id);

export const on = (id, event, listener) => byId(id).addEventListener(event, listener);

/** Tell readers of the screen. */
export const say = (text) => { byId("status").textContent = text; };

let shown;

/** Say what does not work; nothing: all is well. */
export function showError(error) {
	shown = error;
	byId("banner").textContent = error?.message ?? "";
	byId("banner").hidden = !error;
}

/** The server has answered. */
export function showAnswered() {
	if (shown?.isPassing) showError();
}

/** Make an element with these properties; children are nodes, texts, lists, or nothing. */
export function make(tag, properties, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	// One call of append cannot take very many.
	for (const child of children.flat()) if (child) element.append(child);
	return element;
}

export function iconButton(character, name, onclick, disabled = false) {
	const label = t(name);
	return make("button", { className: "quiet", title: label, ariaLabel: label, onclick, disabled }, character);
}

/** A button that copies what ``text()`` gives. */
export function copyButton(text) {
	const button = iconButton("⧉", "copy", async () => {
		await copy(text());
		button.textContent = "✓";
		say(t("copied"));
		setTimeout(() => { button.textContent = "⧉"; }, 1200);
	});
	return button;
}

async function copy(text) {
	if (navigator.clipboard) return navigator.clipboard.writeText(text);
	// Without TLS browsers have no clipboard.
	const field = make("textarea", { className: "unseen", value: text });
	document.body.append(field);
	field.select();
	document.execCommand("copy");
	return field.remove();
}
