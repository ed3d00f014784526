/** What surrounds the conversation: title, settings, keys, actions. */
import { byId, make, on } from "./dom.js";
import { language, languages, t } from "./i18n.js";
import { markCurrent, noteChange } from "./sidebar.js";

/** The id of the conversation that the address names. */
export const route = () => location.hash.slice(1);

/** Show which conversation is open; null: a new one. */
export function showConversation(conversation) {
	const title = conversation?.detail.title;
	byId("title").textContent = title ?? t("new");
	document.title = title ?? "FastAPI SLLM API";
	byId("actions").hidden = !conversation;
	if (conversation && route() !== conversation.id) history.pushState(null, "", `#${conversation.id}`);
	markCurrent();
}

/** Let settings, keys and actions work. */
export function startShell(chat) {
	byId("actions").append(...Object.keys(actions).map((value) => make("button", { className: "text", value }, t(value))));
	on("options", "close", () => actions[byId("options").returnValue]?.(chat.conversation));
	startSettings();
	addEventListener("keydown", (event) => {
		const isOther = event.isComposing || document.querySelector("dialog[open], :popover-open");
		if (event.key === "Escape" && !isOther) chat.run?.stop();
	});
}

function startSettings() {
	const choice = byId("language");
	choice.append(...Object.entries(languages).map(([value, name]) => make("option", { value, lang: value }, name)));
	choice.value = language;
	on("language", "change", () => {
		localStorage.language = choice.value;
		location.reload();
	});
	on("theme", "click", () => {
		const { style } = document.documentElement;
		const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
		const now = style.colorScheme || (isDark ? "dark" : "light");
		localStorage.theme = style.colorScheme = now === "dark" ? "light" : "dark";
	});
}

const actions = {
	async rename(conversation) {
		const title = prompt(t("rename"), conversation.detail.title);
		if (!title) return;
		await conversation.change({ title });
		showConversation(conversation);
		noteChange(conversation.id);
	},
	markdown: (conversation) => save(conversation, "markdown", "md"),
	json: (conversation) => save(conversation, "json", "json"),
	async delete(conversation) {
		if (!confirm(`${t("delete")}: ${conversation.detail.title}`)) return;
		await conversation.request("DELETE");
		noteChange(conversation.id);
		location.hash = "";
	},
};

async function save(conversation, format, ending) {
	const response = await conversation.request("GET", `/export?format=${format}`);
	const href = URL.createObjectURL(await response.blob());
	make("a", { href, download: `${conversation.detail.title}.${ending}` }).click();
}
