/** The list of conversations: read in pages, and searched. */
import { query, requestJson } from "./api.js";
import { byId, make, on } from "./dom.js";
import { language, t } from "./i18n.js";
import { showError } from "./shell.js";

const list = byId("conversations");
const more = byId("more");
const search = byId("search");
let cursor;
let current;
let reading = new AbortController();
let soon;

export function startSidebar() {
	const next = () => cursor && read(cursor);
	on("search", "input", () => refreshSoon());
	on("more", "click", next);
	new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && next()).observe(more);
	refreshSoon(0);
}

/** Read the first page again, once for several changes. */
export function refreshSoon(milliseconds = 250) {
	clearTimeout(soon);
	soon = setTimeout(read, milliseconds);
}

/** Mark the conversation that is open. */
export function markCurrent(id) {
	current = id;
	for (const link of list.querySelectorAll("a")) link.ariaCurrent = link.hash === `#${id}` ? "page" : null;
}

async function read(from) {
	reading.abort();
	const { signal } = (reading = new AbortController());
	cursor = null;
	try {
		const wanted = query({ limit: 40, query: search.value.trim(), cursor: from });
		const page = await requestJson("GET", `conversations${wanted}`, { signal });
		if (!from) list.replaceChildren();
		list.append(...page.conversations.map(item));
		cursor = page.next_cursor;
		more.hidden = !cursor;
		byId("empty").textContent = list.firstChild ? "" : t("nothing");
		markCurrent(current);
	} catch (error) {
		if (!signal.aborted) showError(error);
	}
}

function item({ id, title, updated_at: moment, match }) {
	const below = match?.snippet ?? new Date(moment).toLocaleDateString(language, { dateStyle: "medium" });
	return make("li", {}, make("a", { href: `#${id}` }, make("span", {}, title), make("small", {}, below)));
}
