/** Requests to version 6 of the API. */

const KEPT = "api-key"; // In the storage of the tab, which ends with the tab.

let askForKey;
let asking = null;

/** An error of a request: the problem that the API tells; status 0: there was no answer. */
export class ApiError extends Error {
	constructor(status, problem, retryAfter) {
		super(problem.detail ?? `HTTP ${status}`);
		Object.assign(this, { status, problem, retryAfter });
		this.isAway = status === 0 || (status >= 502 && status <= 504);
	}
}

/** ``ask(wasWrong)`` asks the reader for a key. */
export function onKeyNeeded(ask) {
	askForKey = ask;
}

/** Use this key in this tab. */
export function useKey(key) {
	if (key) sessionStorage.setItem(KEPT, key);
	else sessionStorage.removeItem(KEPT);
}

/** The key of this tab, or null. */
export const currentKey = () => sessionStorage.getItem(KEPT);

/** Send a request; throws ApiError unless it succeeds. ``json`` is its body. */
export async function request(method, path, options = {}) {
	for (;;) {
		const key = currentKey();
		const response = await attempt(method, path, key, options);
		if (response.ok) return response;
		if (response.status !== 401) throw await errorOf(response);
		if (key !== currentKey()) continue;
		// Everything that lacks a key waits for the same question.
		asking ??= askForKey(key !== null).then(useKey).finally(() => { asking = null; });
		await asking;
	}
}

/** The same, for the JSON of the answer. */
export const requestJson = async (...asked) => (await request(...asked)).json();

async function attempt(method, path, key, { json, headers = {}, ...more }) {
	if (key) headers.Authorization = `Bearer ${key}`;
	if (json) headers["Content-Type"] = "application/json";
	try {
		const body = json && JSON.stringify(json);
		return await fetch(`api/v6/${path}`, { method, headers, body, ...more });
	} catch (error) {
		if (more.signal?.aborted) throw error;
		throw new ApiError(0, error);
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
