/** One answer while it is made: asked for, followed, stopped, and asked for again if need be. */
import { t } from "./i18n.js";
import { readAnswer, sleep } from "./stream.js";

const MOST_TRIES = 6;

/**
 * Follows the answer that ``view`` shows. ``question``: the view of its question if that is not stored
 * yet; ``parent``: what that follows. After a refusal, ``tries`` so far and a ``pause`` in seconds.
 */
export class Run {
	aborting = new AbortController();
	isStopping = false;

	constructor(chat, view, { question, parent, tries = 0, pause = 0 } = {}) {
		Object.assign(this, { chat, view, question, parent, tries, pause });
	}

	/** Stop the answer, as soon as it is known which one that is. */
	async stop() {
		const { chat, view } = this;
		this.isStopping = true;
		if (view.message.id) await chat.conversation.request("POST", "/stop").catch(chat.hooks.error);
	}

	/** Read what ``ask(signal)`` gives, or join what is being made (null), to its end. */
	async follow(ask) {
		const { chat, view, aborting: { signal } } = this;
		view.showNote("");
		view.showWaiting(t("sending"));
		if (!ask) view.setText({ text: "" }); // All of it comes again.
		try {
			const first = ask && (await this.accepted(ask, signal));
			const resume = (id) => {
				const headers = id ? { "Last-Event-ID": id } : {};
				return chat.conversation.request("GET", `/messages/${view.message.id}/stream`, { headers, signal });
			};
			const onEvent = (name, data) => this.take(name, data);
			await readAnswer(first, resume, { onEvent, signal, onLost: () => view.showNote(t("lost")) });
		} catch (error) {
			if (!signal.aborted) await this.failed(error, ask);
		}
	}

	/** The response, once the server has room for the request. */
	async accepted(ask, signal) {
		for (;;) {
			await this.countDown(signal);
			try {
				return await ask(signal);
			} catch (error) {
				const isPassing = error.status === 429 || (error.isAway && error.status);
				if (!isPassing || error.problem.message_id || !this.mayTry(error.retryAfter)) throw error;
			}
		}
	}

	mayTry(pause) {
		this.tries += 1;
		this.pause = pause || 2 ** this.tries;
		return this.tries <= MOST_TRIES && !this.isStopping;
	}

	async countDown(signal) {
		for (let seconds = Math.ceil(this.pause); seconds > 0; seconds -= 1) {
			if (this.isStopping) throw new Error(t("stopped"));
			this.view.showWaiting(t("busy", { seconds }));
			await sleep(1000, signal);
		}
		this.view.showWaiting(t("sending"));
	}

	take(name, data) {
		const { view } = this;
		const events = {
			message: () => this.begun(data),
			queued: () => view.showWaiting(t("queued", data)),
			loading: () => view.showWaiting(t("loading", data), data.percent / 100),
			prefill: () => view.showWaiting(t("reading", data), data.total && data.done / data.total),
			thinking: () => view.addThinking(data.text),
			delta: () => view.addText(data.text),
			reset: () => view.setText(data),
			tool_call: () => view.addText(`\n\n\`${data.name}(${data.arguments})\`\n`),
			done: () => this.finish({ ...data, status: data.finish_reason === "cancelled" ? "stopped" : "complete" }),
			error: () => this.finish({ status: "failed", error: data.detail }, data.status),
		};
		view.showNote("");
		events[name]?.();
	}

	begun(ids) {
		if (this.view.message.id) return;
		this.chat.stored(this, ids);
		this.view.showWaiting(t("waiting"));
		if (this.isStopping) this.stop();
	}

	finish(end, status) {
		Object.assign(this.view.message, end);
		this.chat.ended(this.view);
		if (status === 429) this.tryLater();
	}

	/** What was asked for, or going on with it, was refused. */
	async failed(error, ask) {
		const { chat, view, question, parent } = this;
		if (error.problem?.message_id) {
			await chat.open(error.problem.conversation_id); // It is stored, as failed.
			if (error.status === 429) this.tryLater(error.retryAfter);
			return;
		}
		const isBusy = error.problem?.code === "conversation-busy";
		const text = isBusy ? t("elsewhere") : error.status === 0 ? t("away") : error.message;
		view.showNote(text, () => chat.start(new Run(chat, view, { question, parent }), ask));
	}

	tryLater(seconds) {
		if (!this.mayTry(seconds)) return;
		const { chat, tries, pause } = this;
		chat.leave();
		chat.askAgain(chat.transcript.views.at(-1).message, { tries, pause });
	}
}
