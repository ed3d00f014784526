/** What surrounds the conversation: the banner, settings, keys, actions. */
import { ask, byId, make, on } from "./dom.js";
import { language, languages, t } from "./i18n.js";

const root = document.documentElement;

/** Say what does not work; nothing: all is well. */
export function showError(error) {
	byId("banner").textContent = error?.message ?? "";
	byId("banner").hidden = !error;
}

/** Let settings, keys and actions work. */
export function startShell(chat) {
	byId("actions").append(...Object.keys(actions).map((value) => make("button", { className: "text", value }, t(value))));
	on("options", "close", () => actions[byId("options").returnValue]?.(chat).catch(showError));
	startSettings();
	document.addEventListener("keydown", (event) => {
		const isOther = event.isComposing || document.querySelector("dialog[open], :popover-open");
		if (event.key === "Escape" && !isOther) chat.run?.stop();
	});
}

function startSettings() {
	const choice = byId("language");
	choice.append(...Object.entries(languages).map(([value, name]) => make("option", { value, lang: value }, name)));
	choice.value = language;
	on("language", "change", () => {
		localStorage.setItem("language", choice.value);
		location.reload();
	});
	on("theme", "click", () => {
		const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
		const now = root.dataset.theme || (isDark ? "dark" : "light");
		root.dataset.theme = now === "dark" ? "light" : "dark";
		localStorage.setItem("theme", root.dataset.theme);
	});
}

const actions = {
	async rename({ conversation, hooks }) {
		const title = await ask(t("rename"), conversation.detail.title);
		if (!title) return;
		await conversation.change({ title });
		hooks.opened(conversation);
		hooks.stored(conversation.id);
	},
	markdown: ({ conversation }) => save(conversation, "markdown", "md"),
	json: ({ conversation }) => save(conversation, "json", "json"),
	async delete({ conversation, hooks }) {
		if (!confirm(`${t("delete")}: ${conversation.detail.title}`)) return;
		await conversation.request("DELETE");
		hooks.stored(conversation.id);
		location.hash = "";
	},
};

async function save(conversation, format, ending) {
	const response = await conversation.request("GET", `/export?format=${format}`);
	const href = URL.createObjectURL(await response.blob());
	make("a", { href, download: `${conversation.detail.title}.${ending}` }).click();
}
