import { t } from "./i18n.js";
import { readAnswer, sleep } from "./stream.js";

const MOST_TRIES = 6;

/**
 * Follows the answer that ``view`` shows: ``ask(signal)`` asks for it, or it is being made. ``question`` is
 * the view of a question that is not stored yet, ``parent`` what it follows. After ``tries``: a ``pause``.
 */
export class Run {
	isStopping = false;

	constructor(chat, view, ask, { question, parent, tries = 0, pause = 0 } = {}) {
		Object.assign(this, { chat, view, ask, question, parent, tries, pause });
	}

	/** Stop the answer, or as soon as it has begun. */
	async stop() {
		this.isStopping = true;
		if (this.view.message.id) await this.chat.conversation.request("POST", "/stop").catch(() => {});
	}

	/** Read the answer to its end. */
	async follow() {
		const { chat, view, ask } = this;
		const { signal } = (this.aborting = new AbortController());
		view.showNote("");
		view.showWaiting(t(this.tries ? "busy" : "waiting"));
		if (!ask) view.setText({ text: "" }); // All of it comes again.
		const resume = (id) => {
			const headers = id ? { "Last-Event-ID": id } : {};
			return chat.conversation.request("GET", `/messages/${view.message.id}/stream`, { headers, signal });
		};
		try {
			for (let left = this.pause; left > 0 && !this.isStopping; left -= 1) await sleep(1000, signal);
			if (this.isStopping) throw new Error(t("stopped"));
			await readAnswer({
				response: await ask?.(signal),
				resume,
				onEvent: (name, data) => this.take(name, data),
				onLost: () => view.showNote(t("lost")),
				signal,
			});
		} catch (error) {
			if (!signal.aborted) await this.failed(error);
		}
	}

	take(name, data) {
		const { view } = this;
		const wait = (text, share) => view.showWaiting(t(text, data), share);
		const events = {
			message: () => this.begun(data),
			queued: () => wait("queued"),
			loading: () => wait("loading", data.percent / 100),
			prefill: () => wait("reading", data.total && data.done / data.total),
			thinking: () => view.add("thinking", data.text),
			delta: () => view.add("content", data.text),
			reset: () => view.setText(data),
			tool_call: () => view.add("content", `\n\n\`${data.name}(${data.arguments})\`\n`),
			done: () => this.finish(data.finish_reason === "cancelled" ? "stopped" : "complete", data),
			error: () => this.finish("failed", { error: data.detail }),
		};
		view.showNote("");
		events[name]?.();
	}

	begun(ids) {
		if (this.view.message.id) return;
		this.chat.stored(this, ids);
		if (this.isStopping) this.stop();
	}

	finish(status, end) {
		Object.assign(this.view.message, end, { status });
		this.chat.ended(this);
	}

	/** It was refused; with a ``conversation_id`` it is stored, as failed. */
	async failed({ message, status, retryAfter, problem: { conversation_id: stored } = {} }) {
		const { chat, view, tries, isStopping } = this;
		Object.assign(this, { pause: 0, isStopping: false });
		if (!stored) return view.showNote(message, () => chat.start(this));
		await chat.open(stored);
		if (status !== 429 || tries === MOST_TRIES || isStopping) return null;
		const refused = { tries: tries + 1, pause: retryAfter || 2 ** tries };
		return chat.askAgain(chat.transcript.views.at(-1).message, refused);
	}
}
