/** The texts of the page in the language of the reader. */

/** Codes of languages → their names. */
export const languages = { en: "English", ko: "한국어", zh: "中文" };

let texts = {};

/** The chosen language, else the browser's first that there is. */
export function language() {
	const wanted = [localStorage.getItem("language"), ...navigator.languages];
	return wanted.map((code) => code?.slice(0, 2)).find((code) => code in languages) ?? "en";
}

/** Read the texts and put them where the page names them. */
export async function loadTexts() {
	document.documentElement.lang = language();
	texts = await (await fetch(new URL(`./i18n/${language()}.json`, import.meta.url))).json();
	for (const element of document.querySelectorAll("[data-t]")) {
		element.textContent = t(element.dataset.t);
	}
	for (const element of document.querySelectorAll("[data-label]")) {
		const label = t(element.dataset.label);
		element.setAttribute("aria-label", label);
		if (element.matches("button, summary")) element.title = label;
		if ("placeholder" in element) element.placeholder = label;
	}
}

/** The text of a name; ``{a}`` in it stands for ``values.a``. */
export function t(name, values = {}) {
	return (texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}
