/** Answers as they come: events read with fetch, over as many connections as it takes. */
import { ApiError } from "./api.js";

const SILENCE = 35_000; // The server says something every ten seconds.

/**
 * Read an answer to its end: ``response``, then what ``resume(id)`` gives after the event with that id.
 * Calls onEvent(name, data), and onLost() between connections. Throws ApiError when it is refused.
 */
export async function readAnswer({ response, resume, onEvent, onLost, signal }) {
	const reading = { id: "", isEnded: false, onEvent };
	for (let pause = 500; ; pause = Math.min(2 * pause, 8000)) {
		try {
			await readEvents(response ?? (await resume(reading.id)), reading, signal);
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
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let left = "";
	try {
		while (!reading.isEnded) {
			const { done, value } = await Promise.race([reader.read(), silence(signal)]);
			if (done) return;
			const blocks = (left + value).split("\n\n");
			left = blocks.pop();
			for (const block of blocks) take(block, reading);
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}

function take(block, reading) {
	const fields = block.split("\n").map((line) => /^(\w*): (.*)/.exec(line)?.slice(1) ?? []);
	const { event, id, data } = Object.fromEntries(fields);
	if (!event || reading.isEnded) return;
	reading.id = id;
	reading.isEnded = event === "done" || event === "error";
	reading.onEvent(event, JSON.parse(data));
}

async function silence(signal) {
	await sleep(SILENCE, signal);
	throw new ApiError(0);
}

/** Wait so many milliseconds; throws when it is aborted. */
export function sleep(milliseconds, signal) {
	return new Promise((resolve, reject) => {
		setTimeout(resolve, milliseconds);
		signal.addEventListener("abort", reject);
	});
}
