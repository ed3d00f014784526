/** What surrounds the conversation: the banner, the panel on narrow screens, the menu, keys. */
import { ask } from "./dialogs.js";
import { byId, make } from "./dom.js";
import { t } from "./i18n.js";

const banner = byId("banner");
const menu = byId("menu");
const panel = document.body.classList;
let isWatching = false;

/** Say what does not work; null: nothing. While the server is away, it is asked until it is back. */
export function showError(error) {
	banner.textContent = error ? (error.isAway ? t("away") : error.message) : "";
	banner.hidden = !error;
	if (error?.isAway && !isWatching) watch();
}

async function watch() {
	isWatching = true;
	for (let response; !response?.ok; response = await fetch("health").catch(() => null)) {
		const health = await response?.json().catch(() => null);
		if (health?.pull && health.status === "pulling") banner.textContent = t("pulling", health.pull);
		await new Promise((resolve) => { setTimeout(resolve, 2000); });
	}
	location.reload();
}

/** Open or close the panel with the conversations. */
export function showPanel(isOpen) {
	const wasOpen = panel.contains("panel");
	panel.toggle("panel", isOpen);
	byId("open-panel").setAttribute("aria-expanded", isOpen);
	if (isOpen !== wasOpen) byId(isOpen ? "close-panel" : "open-panel").focus();
}

/** Let panel, menu and keys work, and see whether the server is ready. */
export function startShell(chat) {
	fetch("health").then((answer) => answer.json()).then(({ status }) => {
		if (status === "pulling") showError({ isAway: true });
	}, () => {});
	byId("open-panel").addEventListener("click", () => showPanel(true));
	for (const id of ["close-panel", "shade", "new"]) byId(id).addEventListener("click", () => showPanel(false));
	document.addEventListener("click", ({ target }) => { menu.open &&= menu.contains(target); });
	menu.addEventListener("click", ({ target }) => {
		const act = actions[target.dataset.action];
		if (!act) return;
		menu.open = false;
		act(chat.conversation, chat).catch(showError);
	});
	document.addEventListener("keydown", (event) => {
		if (event.key === "Escape" && !event.isComposing) escape(chat);
		if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
		event.preventDefault();
		showPanel(true);
		byId("search").select();
	});
}

function escape(chat) {
	if (document.querySelector("dialog[open]")) return;
	if (menu.open) menu.open = false;
	else if (panel.contains("panel")) showPanel(false);
	else chat.run?.stop();
}

const actions = {
	async rename(conversation, { hooks }) {
		const title = await ask(t("rename"), conversation.detail.title);
		if (!title?.trim()) return;
		await conversation.change({ title });
		hooks.opened(conversation);
		hooks.stored(conversation.id);
	},
	markdown: (conversation) => save(conversation, "markdown", "md"),
	json: (conversation) => save(conversation, "json", "json"),
	async delete(conversation, { hooks }) {
		if ((await ask(t("delete-sure", conversation.detail), null, t("delete"))) === null) return;
		await conversation.request("DELETE");
		hooks.stored(conversation.id);
		location.hash = "";
	},
};

async function save(conversation, format, ending) {
	const response = await conversation.request("GET", `/export?format=${format}`);
	const name = conversation.detail.title.replace(/[\\/:*?"<>|\p{Cc}]/gu, " ").trim();
	const href = URL.createObjectURL(await response.blob());
	make("a", { href, download: `${name || "…"}.${ending}` }).click();
	setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
