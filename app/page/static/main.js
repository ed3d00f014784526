/** Puts the parts together. */
import { Chat } from "./chat.js";
import { startComposer, write } from "./composer.js";
import { byId, on, showError } from "./dom.js";
import { showTexts } from "./i18n.js";
import { startOptions } from "./options.js";
import { route, startShell } from "./shell.js";
import { startSidebar } from "./sidebar.js";

showTexts();
const chat = new Chat();

function beginWriting() {
	byId("panel").hidePopover();
	byId("message").focus();
}

startComposer((asked) => {
	showError();
	return chat.ask(asked);
});
startShell(chat);
startSidebar((id) => {
	if (id === chat.conversation?.id && !chat.run) chat.open(id);
});
addEventListener("unhandledrejection", (event) => {
	if (event.reason?.problem) event.preventDefault(); // No mistake of the page.
	showError(event.reason);
});
on("stop", "click", () => chat.run?.stop());
on("new", "click", beginWriting);
on("skip", "click", beginWriting);
addEventListener("popstate", () => {
	write();
	showError();
	beginWriting();
	chat.open(route());
});
byId("message").focus();
await startOptions().catch(showError);
await chat.open(route());
