/** The list of conversations: read in pages, and searched. */
import { listConversations } from "./conversation.js";
import { byId, make } from "./dom.js";
import { language, t } from "./i18n.js";

const list = byId("conversations");
const more = byId("more");
const search = byId("search");
let cursor;
let current;
let reading = new AbortController();
let soon;

/** Let the list work; ``onError(error)`` is told what fails. */
export function startSidebar(onError) {
	const next = () => cursor && read(cursor).catch(onError);
	search.addEventListener("input", () => refreshSoon(onError));
	more.addEventListener("click", next);
	new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && next()).observe(more);
	refreshSoon(onError, 0);
}

/** Read the first page again, once for several changes. */
export function refreshSoon(onError, milliseconds = 250) {
	clearTimeout(soon);
	soon = setTimeout(() => read(null).catch(onError), milliseconds);
}

/** Mark the conversation that is open. */
export function markCurrent(id) {
	current = id;
	for (const link of list.querySelectorAll("a")) {
		if (link.hash === `#${id}`) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
}

async function read(from) {
	reading.abort();
	const { signal } = (reading = new AbortController());
	cursor = null;
	try {
		const page = await listConversations(search.value.trim(), from, signal);
		const items = page.conversations.map(item);
		if (from) list.append(...items);
		else list.replaceChildren(...items);
		cursor = page.next_cursor;
		more.hidden = !cursor;
		byId("empty").textContent = list.firstChild ? "" : t(search.value ? "nothing" : "none-yet");
		markCurrent(current);
	} catch (error) {
		if (!signal.aborted) throw error;
	}
}

function item({ id, title, updated_at: moment, match }) {
	const below = make("small", {}, match?.snippet ?? shortMoment(new Date(moment)));
	return make("li", {}, make("a", { href: `#${id}` }, make("span", {}, title), below));
}

function shortMoment(moment) {
	const isToday = moment.toDateString() === new Date().toDateString();
	return moment.toLocaleString(language(), isToday ? { timeStyle: "short" } : { dateStyle: "medium" });
}
