/** Answers as they come: events read with fetch, over as many connections as it takes. */
import { ApiError } from "./api.js";

const SILENCE = 35_000; // The server says something every ten seconds.
const LONGEST_PAUSE = 8000;

/**
 * Read an answer to its end. ``response`` is the first one; ``resume(id)`` asks for what follows
 * the event with that id. Calls onEvent(name, data), and onLost() between connections. Throws
 * ApiError when it is refused to go on, and anything once it is aborted.
 */
export async function readAnswer(response, resume, { onEvent, onLost, signal }) {
	const reading = { id: "", isEnded: false, onEvent };
	for (let pause = 500; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
		try {
			response ??= await resume(reading.id);
			if (await readEvents(response, reading, signal)) pause = 500;
		} catch (error) {
			if (signal.aborted || (error instanceof ApiError && !error.isAway)) throw error;
		}
		if (reading.isEnded) return;
		response = null;
		onLost();
		await sleep(pause, signal);
	}
}

async function readEvents(response, reading, signal) {
	const reader = response.body.getReader();
	const decoder = new TextDecoder();
	let left = "";
	let count = 0;
	try {
		while (!reading.isEnded) {
			const { done, value } = await Promise.race([reader.read(), silence(signal)]);
			if (done) break;
			const blocks = (left + decoder.decode(value, { stream: true })).split("\n\n");
			left = blocks.pop();
			for (const block of blocks) count += take(block, reading);
		}
	} finally {
		reader.cancel().catch(() => {});
	}
	return count;
}

function take(block, reading) {
	const { event, id, data } = Object.fromEntries(block.split("\n").map((line) => {
		const colon = line.indexOf(": ");
		return [line.slice(0, colon), line.slice(colon + 2)];
	}));
	if (!event || reading.isEnded) return 0;
	reading.id = id;
	reading.isEnded = event === "done" || event === "error";
	reading.onEvent(event, JSON.parse(data));
	return 1;
}

let quiet;

/** Fails when nothing has come for too long; there is one stream at a time. */
async function silence(signal) {
	clearTimeout(quiet);
	await new Promise((resolve) => {
		quiet = setTimeout(resolve, SILENCE);
		signal.addEventListener("abort", resolve, { once: true });
	});
	throw new ApiError(0, {});
}

/** Wait so many milliseconds; throws when it is aborted. */
export function sleep(milliseconds, signal) {
	return new Promise((resolve, reject) => {
		setTimeout(resolve, milliseconds);
		signal.addEventListener("abort", reject);
	});
}
