/** Server-sent events, read with fetch: EventSource knows no headers. */

const SILENCE = 35_000; // The server says something every ten seconds.

/** The events {event, id, data} of a response, until its connection ends or falls silent. */
export async function* readEvents({ body }) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	const close = () => reader.cancel().catch(() => {});
	let left = "";
	try {
		for (;;) {
			const silence = setTimeout(close, SILENCE);
			const { done, value } = await reader.read().catch(() => ({ done: true }));
			clearTimeout(silence);
			if (done) return;
			const blocks = (left + value).split("\n\n");
			left = blocks.pop();
			yield* blocks.map(parse).filter(({ event }) => event);
		}
	} finally {
		close();
	}
}

function parse(block) {
	const fields = block.split("\n").map((line) => /^(\w*): (.*)/.exec(line)?.slice(1) ?? []);
	const { data = null, ...event } = Object.fromEntries(fields);
	return { ...event, data: JSON.parse(data) };
}

/** Wait so many milliseconds, or until the network is back; throws when aborted. */
export function sleep(milliseconds, signal) {
	return new Promise((resolve, reject) => {
		signal.throwIfAborted();
		signal.addEventListener("abort", () => reject(signal.reason));
		addEventListener("online", resolve, { once: true });
		setTimeout(resolve, milliseconds);
	});
}
