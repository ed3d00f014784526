/** The texts of the page in the language of the reader. */
import { texts } from "./texts.js";

/** Codes of languages → their names, in the order of the texts. */
export const languages = { en: "English", ko: "한국어", zh: "中文" };

const wanted = [localStorage.language, ...navigator.languages];

/** The chosen language, else the browser's first that there is. */
export const language = wanted.map((code) => code?.slice(0, 2)).find((code) => code in languages) ?? "en";

const column = Object.keys(languages).indexOf(language);

/** The text of a name; ``{a}`` in it stands for ``values.a``. */
export function t(name, values = {}) {
	return texts[name][column].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/** Put the texts where the page names them. */
export function showTexts() {
	document.documentElement.lang = language;
	for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t || element.id);
	for (const element of document.querySelectorAll("[data-label]")) {
		const label = t(element.dataset.label || element.id);
		Object.assign(element, { ariaLabel: label, placeholder: label });
		if (element.matches("button")) element.title = label;
	}
}
