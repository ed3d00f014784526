/** One answer while it is made: asked for, read over many connections, stopped. */
import { say } from "./dom.js";
import { t } from "./i18n.js";
import { readEvents, sleep } from "./stream.js";

const MOST_TRIES = 6;

/**
 * Follows the answer that ``view`` shows: ``ask(signal)`` asks for it, or it is being made. ``question`` is
 * the view of a question that is not stored yet, ``parent`` what it follows. After ``tries``: a ``pause``.
 */
export class Run {
	lastId = "";

	constructor(chat, view, ask, { question, parent, tries = 0, pause = 0 } = {}) {
		Object.assign(this, { chat, view, ask, question, parent, tries, pause });
	}

	/** Stop the answer, or as soon as it has begun; wait for no further try. */
	stop() {
		this.stopping.abort(new Error(t("stopped")));
		if (this.view.message.id) this.chat.conversation.request("POST", "/stop").catch(() => {});
	}

	/** Read the answer to its end. */
	async follow() {
		const { view } = this;
		Object.assign(this, { leaving: new AbortController(), stopping: new AbortController() });
		view.showNote("");
		view.showWaiting(t(this.tries ? "busy" : "waiting"));
		if (!this.lastId) view.setText({}); // All of it comes again.
		try {
			await this.sleep(this.pause);
			for (let pause = 500; ; pause = Math.min(2 * pause, 8000)) {
				const before = this.lastId;
				const problem = await this.read();
				if (this.isEnded) return;
				if (this.lastId !== before) pause = 500;
				await this.lost(problem, pause);
			}
		} catch (error) {
			if (!this.leaving.signal.aborted) await this.failed(error);
		}
	}

	get isEnded() {
		return this.view.message.status !== "generating";
	}

	/** Read as far as one connection brings it; gives the error if there was none. */
	async read() {
		try {
			for await (const event of readEvents(await this.connect())) {
				this.take(event);
				if (this.isEnded) break;
			}
			return null;
		} catch (error) {
			if (error.isPassing) return error;
			throw error;
		}
	}

	/** Ask; once the answer has begun, for what follows the last event. */
	connect() {
		const { view, chat, leaving: { signal } } = this;
		if (!view.message.id) return this.ask(signal);
		const headers = { "Last-Event-ID": this.lastId };
		return chat.conversation.request("GET", `/messages/${view.message.id}/stream`, { headers, signal });
	}

	/** Say that the line is lost or the server busy, and wait. */
	async lost(problem, pause) {
		this.leaving.signal.throwIfAborted();
		const text = t(problem?.problem.code ? "busy" : "lost");
		if (this.view.note.hidden) say(text);
		this.view.showNote(text);
		await this.sleep(pause);
	}

	sleep(milliseconds) {
		return sleep(milliseconds, AbortSignal.any([this.leaving.signal, this.stopping.signal]));
	}

	take({ event, id, data }) {
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
		events[event]?.();
		this.lastId = id;
	}

	begun(ids) {
		if (this.view.message.id) return;
		this.chat.stored(this, ids);
		if (this.stopping.signal.aborted) this.stop();
	}

	finish(status, end) {
		Object.assign(this.view.message, end, { status });
		this.chat.ended(this);
	}

	/** It was refused; with a ``conversation_id`` it is stored, as failed. */
	async failed({ message, status, retryAfter, problem: { conversation_id: stored } = {} }) {
		const { chat, view, tries, stopping } = this;
		say(message);
		if (!stored) {
			view.showNote(message, () => chat.start(this));
			return;
		}
		await chat.open(stored);
		if (status !== 429 || tries === MOST_TRIES || stopping.signal.aborted) return;
		const refused = { tries: tries + 1, pause: 1000 * (retryAfter || 2 ** tries) };
		chat.askAgain(chat.transcript.views.at(-1).message, refused);
	}
}
