/** Puts the parts of the page together. */
import { onKeyNeeded } from "./api.js";
import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { askForKey, startSettings } from "./dialogs.js";
import { byId, make } from "./dom.js";
import { loadTexts, t } from "./i18n.js";
import * as options from "./options.js";
import { showError, showPanel, startShell } from "./shell.js";
import { markCurrent, refreshSoon, startSidebar } from "./sidebar.js";

const otherTabs = new BroadcastChannel("sllm");
const route = () => location.hash.slice(1) || null;
const say = (text) => { byId("status").textContent = text; };

onKeyNeeded(askForKey);
await loadTexts();
const chat = new Chat({
	model: options.modelField,
	options: options.optionFields,
	error: showError,
	edit,
	opened,
	stored(id) {
		otherTabs.postMessage(id);
		refreshSoon(showError);
	},
	sees: options.chooseModel, // The pictures stay in the conversation, and so does the model.
	running: (isRunning) => composer.setRunning(isRunning),
	say,
});
const composer = new Composer({ rules: options.pictureRules, error: showError, send });

function send(asked) {
	showError(null);
	say(t("writing"));
	chat.ask(asked).catch(showError);
}

async function edit({ content, images, parent_id: parent }) {
	const files = images.map(({ file, sha256 }) => file ?? chat.conversation.picture(sha256));
	composer.edit(content, await Promise.all(files), parent);
}

function opened(conversation) {
	const { title, model } = conversation?.detail ?? {};
	byId("title").textContent = title ?? t("new");
	document.title = title ?? "FastAPI SLLM API";
	byId("menu").hidden = !conversation;
	if (conversation && route() !== conversation.id) history.pushState(null, "", `#${conversation.id}`);
	if (model) options.chooseModel(model);
	if (chat.run === null) options.showKept(conversation?.detail);
	markCurrent(conversation?.id);
}

async function openRoute() {
	showPanel(false);
	showError(null);
	composer.clear();
	await chat.open(route());
	byId("message").focus();
}

function showTexts() {
	const suggestions = ["suggestion-1", "suggestion-2", "suggestion-3"].map((name) => t(name));
	byId("suggestions").replaceChildren(...suggestions.map((text) =>
		make("button", { type: "button", onclick: () => send({ text, images: [] }) }, text)));
	options.loadModels().catch(showError);
	options.showKept();
	byId("title").textContent = t("new");
	refreshSoon(showError, 0);
}

startShell(chat);
startSidebar(showError);
options.startOptions(showError);
startSettings(() => {
	showTexts();
	chat.open(route());
});
byId("stop").addEventListener("click", () => chat.run?.stop());
byId("new").addEventListener("click", () => byId("message").focus());
window.addEventListener("popstate", openRoute);
otherTabs.addEventListener("message", ({ data }) => {
	refreshSoon(showError);
	if (data === chat.conversation?.id && !chat.run) chat.open(data);
});
showTexts();
if (route()) chat.open(route());
byId("message").focus();
