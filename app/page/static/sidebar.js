/** The list of conversations: read in pages, and searched. */
import { query, requestJson } from "./api.js";
import { byId, make, on } from "./dom.js";
import { language, t } from "./i18n.js";

const list = byId("conversations");
const more = byId("more");
const search = byId("search");
const otherTabs = new BroadcastChannel("sllm");
let cursor;
let reading;
let soon;

/** Begin; ``onChange(id)``: another tab has changed a conversation. */
export function startSidebar(onChange) {
	const next = () => cursor && read(cursor);
	otherTabs.onmessage = ({ data: id }) => {
		refreshSoon();
		onChange(id);
	};
	on("search", "input", () => refreshSoon());
	on("more", "click", next);
	new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && next()).observe(more);
	refreshSoon(0);
}

/** Show, here and in other tabs, that a conversation has changed. */
export function noteChange(id) {
	otherTabs.postMessage(id);
	refreshSoon();
}

/** Read the first page again, once for several changes. */
function refreshSoon(milliseconds = 250) {
	clearTimeout(soon);
	soon = setTimeout(read, milliseconds);
}

/** Mark the conversation that is open. */
export function markCurrent() {
	for (const link of list.querySelectorAll("a")) link.ariaCurrent = link.hash === location.hash ? "page" : null;
}

async function read(from) {
	reading?.abort();
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
		markCurrent();
	} catch (error) {
		if (signal.aborted) return;
		if (error.isPassing) refreshSoon(5000);
		throw error;
	}
}

function item({ id, title, updated_at: moment, match }) {
	const below = match?.snippet ?? new Date(moment).toLocaleDateString(language, { dateStyle: "medium" });
	return make("li", {}, make("a", { href: `#${id}` }, make("span", {}, title), make("small", {}, below)));
}
