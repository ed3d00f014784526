/** What the reader does with a conversation: ask, stop, answer again, change the branch. */
import { request } from "./api.js";
import { Conversation } from "./conversation.js";
import { t } from "./i18n.js";
import { Run } from "./run.js";
import { Transcript } from "./transcript.js";

/**
 * Holds the open conversation. ``hooks``: model(pictures) and options(isNew) give fields of requests;
 * error(error), edit(message), opened(conversation), stored(id), sees(model) after pictures, running(isRunning) and say(text) are told.
 */
export class Chat {
	conversation = null;
	run = null;

	constructor(hooks) {
		this.hooks = hooks;
		this.transcript = new Transcript({
			edit: hooks.edit,
			again: (message) => this.askAgain(message),
			branch: (message, step) => this.goTo(message, step).catch(hooks.error),
			picture: (sha256) => this.conversation.picture(sha256),
		});
	}

	/** Open a conversation, and follow its answer if one is being made; null: a new one. */
	async open(id) {
		this.leave();
		const { signal } = (this.opening = new AbortController());
		let opened = null;
		try {
			opened = id && (await Conversation.open(id, signal));
		} catch (error) {
			if (!signal.aborted) this.hooks.error(error);
		}
		if (signal.aborted) return;
		this.conversation = opened;
		this.transcript.show(opened);
		this.hooks.opened(opened);
		const last = this.transcript.views.at(-1);
		if (last?.message.status === "generating") this.start(new Run(this, last), null);
	}

	/** Read no further; the answer goes on. */
	leave() {
		this.opening?.abort();
		this.run?.aborting.abort();
		this.run = null;
		this.hooks.running(false);
	}

	/** Ask; ``parent`` is the id of the message that the question follows, undefined: of the last. */
	async ask({ text, images, parent }) {
		this.transcript.cutUnsent();
		if (parent !== undefined) this.transcript.cutAfter(parent);
		const question = this.transcript.add({ role: "user", content: text, images });
		const run = new Run(this, this.addAnswer(), { question, parent });
		const json = {
			message: text,
			images: images.map(({ base64, mime }) => ({ base64, mime })),
			conversation_id: this.conversation?.id,
			parent_id: parent,
			on_disconnect: "continue",
			...(await this.hooks.model(images.length)),
			...this.hooks.options(this.conversation === null),
		};
		const path = images.length ? "vision/chat/stream" : "chat/stream";
		await this.start(run, (signal) => request("POST", path, { json, signal }));
	}

	/** Answer the question of an answer once more; ``refused``: how often and how long to wait. */
	async askAgain({ parent_id: parent }, refused) {
		if (this.run || !parent) return;
		const { conversation } = this;
		const json = { on_disconnect: "continue", ...(await this.hooks.model(0)) };
		this.transcript.cutAfter(parent);
		const run = new Run(this, this.addAnswer(parent), refused);
		const below = `/messages/${parent}/regenerate/stream`;
		await this.start(run, (signal) => conversation.request("POST", below, { json, signal }));
	}

	addAnswer(parent) {
		return this.transcript.add({ role: "assistant", status: "generating", content: "", parent_id: parent });
	}

	async start(run, ask) {
		this.leave();
		this.run = run;
		this.hooks.running(true);
		await run.follow(ask);
		if (this.run === run) this.leave();
	}

	/** The answer of ``run`` is stored: note where. */
	stored({ view, question, parent }, ids) {
		const isNew = !this.conversation;
		const conversation = (this.conversation ??= new Conversation(ids.conversation_id));
		this.transcript.conversation = conversation;
		if (question) {
			const follows = parent === undefined ? (conversation.leaf ?? null) : parent;
			conversation.add(Object.assign(question.message, { id: ids.parent_id, parent_id: follows }));
		}
		const { message_id: id, parent_id, model } = ids;
		conversation.add(Object.assign(view.message, { id, parent_id, model }));
		if (isNew) conversation.detail.title = question.message.content.split("\n")[0].slice(0, 60) || "…";
		if (isNew) this.hooks.opened(conversation);
		if (question?.message.images.length) this.hooks.sees(model);
		this.hooks.stored(conversation.id);
	}

	/** The answer has ended. */
	ended(view) {
		view.showEnd();
		this.transcript.showBranches();
		this.hooks.stored(this.conversation.id);
		if (view.message.status !== "failed") this.hooks.say(`${t("done")} ${view.message.content.slice(0, 500)}`);
	}

	async goTo(message, step) {
		const siblings = this.conversation.siblings(message);
		if (!this.run) await this.conversation.activate(siblings[siblings.indexOf(message) + step]);
		this.transcript.render();
	}
}
