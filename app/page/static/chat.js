import { request } from "./api.js";
import { Conversation } from "./conversation.js";
import { say } from "./dom.js";
import { chooseModel, modelField, optionFields } from "./options.js";
import { Run } from "./run.js";
import { showError } from "./shell.js";
import { Transcript } from "./transcript.js";

/** The open conversation. ``hooks``: edit(message), opened(conversation), stored(id), running(isRunning). */
export class Chat {
	conversation = null;
	run = null;

	constructor(hooks) {
		this.hooks = hooks;
		this.transcript = new Transcript({
			edit: hooks.edit,
			again: (message) => this.askAgain(message).catch(showError),
			branch: (message) => this.goTo(message).catch(showError),
			picture: (sha256) => this.conversation.picture(sha256),
		});
	}

	/** Open a conversation and follow what is being made; without an id: a new one. */
	async open(id) {
		this.leave();
		const { signal } = (this.opening = new AbortController());
		let opened = null;
		try {
			if (id) opened = await Conversation.open(id, signal);
		} catch (error) {
			if (!signal.aborted) showError(error);
		}
		if (signal.aborted) return;
		this.conversation = opened;
		this.transcript.show(opened);
		this.hooks.opened(opened);
		const last = this.transcript.views.at(-1);
		if (last?.message.status === "generating") this.start(new Run(this, last));
	}

	/** Read no further; the answer goes on. */
	leave() {
		this.opening?.abort();
		this.run?.aborting.abort();
		this.run = null;
		this.hooks.running(false);
	}

	/** Ask; ``parent`` is the id of the message before, undefined: the last. */
	async ask({ text, images, parent }) {
		this.transcript.cutAfter(parent);
		const question = this.transcript.add({ role: "user", content: text, images });
		const json = {
			message: text,
			images: images.map(({ base64, mime }) => ({ base64, mime })),
			conversation_id: this.conversation?.id,
			parent_id: parent,
			on_disconnect: "continue",
			...modelField(images.length),
			...optionFields(!this.conversation),
		};
		const path = images.length ? "vision/chat/stream" : "chat/stream";
		const send = (signal) => request("POST", path, { json, signal });
		await this.start(new Run(this, this.addAnswer(), send, { question, parent }));
	}

	/** Answer a question once more; ``refused``: tries and pause of a Run. */
	async askAgain({ parent_id: parent }, refused) {
		if (this.run || !parent) return;
		const { conversation } = this;
		const json = { on_disconnect: "continue", ...modelField() };
		this.transcript.cutAfter(parent);
		const send = (signal) =>
			conversation.request("POST", `/messages/${parent}/regenerate/stream`, { json, signal });
		await this.start(new Run(this, this.addAnswer(parent), send, refused));
	}

	addAnswer(parent) {
		return this.transcript.add({ role: "assistant", status: "generating", parent_id: parent });
	}

	/** Follow an answer, and no other. */
	async start(run) {
		this.leave();
		this.run = run;
		this.hooks.running(true);
		await run.follow();
		if (this.run === run) this.leave();
	}

	/** The answer of ``run`` is stored: note where. */
	stored({ view, question, parent }, { conversation_id, message_id: id, parent_id, model }) {
		const isNew = !this.conversation;
		const conversation = (this.conversation ??= new Conversation(conversation_id));
		this.transcript.conversation = conversation;
		if (question) {
			const before = parent === undefined ? (conversation.leaf ?? null) : parent;
			conversation.add(Object.assign(question.message, { id: parent_id, parent_id: before }));
		}
		conversation.add(Object.assign(view.message, { id, parent_id, model }));
		if (isNew) conversation.detail.title = question.message.content.split("\n")[0].slice(0, 60) || "…";
		if (isNew) this.hooks.opened(conversation);
		if (question?.message.images.length) chooseModel(model); // Its pictures stay, and so does the model.
		this.hooks.stored(conversation.id);
	}

	ended({ view }) {
		view.showEnd();
		this.transcript.showBranches();
		this.hooks.stored(this.conversation.id);
		say(view.message.content.slice(0, 500));
	}

	async goTo(message) {
		if (!this.run) await this.conversation.activate(message);
		this.transcript.render();
	}
}
