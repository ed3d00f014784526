/** Requests to version 6 of the API. */
import { ask } from "./dom.js";
import { t } from "./i18n.js";

const KEPT = "api-key"; // In the storage of the tab, which ends with the tab.
const currentKey = () => sessionStorage.getItem(KEPT);
let asking = null;

/** The problem that the API tells; status 0: there was no answer. */
export class ApiError extends Error {
	constructor(status, problem = {}, retryAfter = 0) {
		super(status ? (problem.detail ?? `HTTP ${status}`) : t("away"));
		Object.assign(this, { status, problem, retryAfter });
		this.isAway = [0, 502, 503, 504].includes(status);
	}
}

/** Send a request; throws ApiError unless it succeeds. ``json`` is its body. */
export async function request(method, path, options = {}) {
	for (;;) {
		const key = currentKey();
		const response = await attempt(method, path, key, options);
		if (response.ok) return response;
		if (response.status !== 401) throw await errorOf(response);
		// Everything that lacks a key waits for the same question.
		if (key === currentKey()) await (asking ??= askForKey(key));
	}
}

/** The same, for the JSON of the answer. */
export const requestJson = async (...asked) => (await request(...asked)).json();

async function askForKey(wrong) {
	let key;
	while (!key) key = await ask(t(wrong ? "key-unknown" : "key-needed"), "", "password");
	sessionStorage.setItem(KEPT, key);
	asking = null;
}

async function attempt(method, path, key, { json, headers = {}, ...more }) {
	if (key) headers.Authorization = `Bearer ${key}`;
	if (json) headers["Content-Type"] = "application/json";
	try {
		return await fetch(`api/v6/${path}`, { method, headers, body: json && JSON.stringify(json), ...more });
	} catch (error) {
		throw more.signal?.aborted ? error : new ApiError(0);
	}
}

async function errorOf(response) {
	const problem = await response.json().catch(() => ({})); // A proxy answers with a page.
	return new ApiError(response.status, problem, Number(response.headers.get("Retry-After")));
}

/** What stands behind ``?``, without what is empty. */
export function query(values) {
	return `?${new URLSearchParams(Object.entries(values).filter(([, value]) => value))}`;
}
