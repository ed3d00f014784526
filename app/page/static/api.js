/** Requests to version 6 of the API. */
import { byId, showAnswered } from "./dom.js";
import { t } from "./i18n.js";

// No answer, that of a proxy, or the API has begun nothing.
const PASSING = [0, 502, 503, 504, "idempotency-key-in-use", "server-full", "storage-unavailable"];
let asking = null;

/** The problem that the API tells; ``isPassing``: the same request may be sent again. */
export class ApiError extends Error {
	constructor(problem = {}, status = 0, retryAfter = 0) {
		super(status ? (problem.detail ?? `HTTP ${status}`) : t("away"));
		Object.assign(this, { problem, status, retryAfter });
		this.isPassing = !problem.conversation_id && PASSING.includes(problem.code ?? status);
	}
}

/** Send a request; throws ApiError unless it succeeds. ``json`` is its body. */
export async function request(method, path, options = {}) {
	for (;;) {
		const key = sessionStorage.apiKey;
		const response = await attempt(method, path, key, options);
		showAnswered();
		if (response.ok) return response;
		if (response.status !== 401) {
			const problem = await response.json().catch(() => ({})); // A proxy answers with a page.
			throw new ApiError(problem, response.status, Number(response.headers.get("Retry-After")));
		}
		// Everything that lacks a key waits for the same question.
		if (key === sessionStorage.apiKey) await (asking ??= askForKey(key));
	}
}

/** The same, for the JSON of the answer. */
export const requestJson = async (...asked) => (await request(...asked)).json();

/** A function of a signal that sends a POST; called often, the server acts once. */
export function postOnce(path, json) {
	// randomUUID needs TLS.
	const headers = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
	return (signal) => request("POST", path, { json, headers, signal });
}

async function askForKey(wrong) {
	const reply = byId("reply");
	byId("question-text").textContent = t(wrong ? "key-unknown" : "key-needed");
	for (reply.value = ""; !reply.value.trim(); ) {
		byId("question").showModal();
		await new Promise((resolve) => { byId("question").onclose = resolve; });
	}
	sessionStorage.apiKey = reply.value.trim(); // It ends with the tab.
	asking = null;
}

async function attempt(method, path, key, { json, headers = {}, ...more }) {
	if (key) headers.Authorization = `Bearer ${key}`;
	if (json) headers["Content-Type"] = "application/json";
	try {
		return await fetch(`api/v6/${path}`, { method, headers, body: json && JSON.stringify(json), ...more });
	} catch (error) {
		throw more.signal?.aborted ? error : new ApiError();
	}
}

/** What stands behind ``?``, without what is empty. */
export function query(values) {
	return `?${new URLSearchParams(Object.entries(values).filter(([, value]) => value))}`;
}
