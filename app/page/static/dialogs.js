/** Questions to the reader, and the settings of the page itself. */
import { currentKey, useKey } from "./api.js";
import { byId, make } from "./dom.js";
import { language, languages, loadTexts, t } from "./i18n.js";

/** Ask for a text, or with ``value`` null for a yes; gives null if the reader does not want to. */
export function ask(text, value, ok = t("ok"), type = "text", note = "") {
	const [dialog, field] = [byId("question"), byId("reply")];
	byId("question-text").textContent = text;
	byId("question-note").textContent = note;
	byId("ok").textContent = ok;
	Object.assign(field, { type, value: value ?? "", hidden: value === null, required: value !== null });
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.onclose = () => resolve(dialog.returnValue === "ok" ? field.value : null);
	});
}

/** Ask for an API key until there is one. */
export async function askForKey(wasWrong) {
	const note = t(wasWrong ? "key-unknown" : "key-note");
	let key;
	while (!key) key = (await ask(t("key-needed"), "", t("ok"), "password", note))?.trim();
	return key;
}

/** Let the settings work; ``onLanguage()`` is called when all texts have changed. */
export function startSettings(onLanguage) {
	const [choice, theme, forget] = ["language", "theme", "forget"].map(byId);
	byId("open-settings").addEventListener("click", () => {
		forget.hidden = currentKey() === null;
		byId("settings").showModal();
	});
	forget.addEventListener("click", () => {
		useKey(null);
		location.reload();
	});
	theme.value = document.documentElement.dataset.theme;
	theme.addEventListener("change", () => {
		document.documentElement.dataset.theme = theme.value;
		localStorage.setItem("theme", theme.value);
	});
	choice.append(...Object.entries(languages).map(([code, name]) => make("option", { value: code, lang: code }, name)));
	choice.value = language();
	choice.addEventListener("change", async () => {
		localStorage.setItem("language", choice.value);
		await loadTexts();
		onLanguage();
	});
}
