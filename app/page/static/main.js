/** Puts the parts of the page together. */
import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { byId, on } from "./dom.js";
import { showTexts, t } from "./i18n.js";
import * as options from "./options.js";
import { showError, startShell } from "./shell.js";
import { markCurrent, refreshSoon, startSidebar } from "./sidebar.js";

const otherTabs = new BroadcastChannel("sllm");
const route = () => location.hash.slice(1);

showTexts();
const chat = new Chat({
	edit,
	opened,
	stored(id) {
		otherTabs.postMessage(id);
		refreshSoon();
	},
	running: (isRunning) => composer.setRunning(isRunning),
});
const composer = new Composer((asked) => {
	showError();
	chat.ask(asked).catch(showError);
});

async function edit({ content, images, parent_id: parent }) {
	const files = images.map(({ file, sha256 }) => file ?? chat.conversation.picture(sha256));
	composer.write(content, await Promise.all(files), parent);
	byId("message").focus();
}

function opened(conversation) {
	const { title, model } = conversation?.detail ?? {};
	byId("title").textContent = title ?? t("new");
	document.title = title ?? "FastAPI SLLM API";
	byId("actions").hidden = !conversation;
	if (conversation && route() !== conversation.id) history.pushState(null, "", `#${conversation.id}`);
	if (model) options.chooseModel(model);
	if (!chat.run) options.showKept(conversation?.detail);
	markCurrent(conversation?.id);
}

function beginWriting() {
	byId("panel").hidePopover();
	byId("message").focus();
}

async function openRoute() {
	composer.clear();
	showError();
	beginWriting();
	await chat.open(route());
}

startShell(chat);
startSidebar();
on("stop", "click", () => chat.run?.stop());
on("new", "click", beginWriting);
window.addEventListener("popstate", openRoute);
otherTabs.addEventListener("message", ({ data }) => {
	refreshSoon();
	if (data === chat.conversation?.id && !chat.run) chat.open(data);
});
byId("message").focus();
await options.startOptions().catch(showError);
await chat.open(route());
