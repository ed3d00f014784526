import { postOnce } from "./api.js";
import { setRunning, write } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId, say, showError } from "./dom.js";
import { t } from "./i18n.js";
import { chooseModel, chosenModel, optionFields, showKept } from "./options.js";
import { Run } from "./run.js";
import { showConversation } from "./shell.js";
import { noteChange } from "./sidebar.js";
import { Transcript } from "./transcript.js";

/** The open conversation, and the answer that is followed in it. */
export class Chat {
	conversation; // null: a new one; undefined: it is being opened.
	run = null;
	transcript = new Transcript(this);

	/** Open a conversation and follow its answer; without an id: a new one. */
	async open(id) {
		this.leave();
		this.conversation = undefined;
		const { signal } = (this.opening = new AbortController());
		let opened = null;
		try {
			if (id) opened = await Conversation.open(id, signal);
		} catch (error) {
			if (!signal.aborted) showError(error);
			if (error.isPassing) setTimeout(() => signal.aborted || this.open(id), 2000);
		}
		if (signal.aborted) return;
		this.conversation = opened;
		this.transcript.show();
		showConversation(opened);
		if (opened) chooseModel(opened.detail.model);
		showKept(opened?.detail);
		const last = this.transcript.views.at(-1);
		if (last?.message.status === "generating") this.start(new Run(this, last));
	}

	/** Read no further; the answer goes on. */
	leave() {
		this.opening?.abort();
		this.run?.leaving.abort();
		this.run = null;
		setRunning(false);
	}

	/** Ask, or give false; ``parent`` is the id of the message before, undefined: the last. */
	ask({ text, images, parent }) {
		if (this.conversation === undefined) return false;
		this.transcript.cutAfter(parent);
		const question = this.transcript.add({ role: "user", content: text, images });
		const send = postOnce(images.length ? "vision/chat/stream" : "chat/stream", {
			message: text,
			images: images.map(({ json }) => json),
			conversation_id: this.conversation?.id,
			parent_id: parent,
			on_disconnect: "continue",
			model: chosenModel(images.length),
			...optionFields(!this.conversation),
		});
		this.start(new Run(this, this.addAnswer(), send, { question, parent }));
	}

	/** Answer a question once more; ``refused``: tries and pause of a Run. */
	askAgain({ parent_id: parent }, refused) {
		if (this.run || !parent || !this.conversation) return;
		const path = `${this.conversation.address}/messages/${parent}/regenerate/stream`;
		const send = postOnce(path, { on_disconnect: "continue", model: chosenModel() });
		this.transcript.cutAfter(parent);
		this.start(new Run(this, this.addAnswer(parent), send, refused));
	}

	async edit({ content, images, parent_id: parent }) {
		write(content, await Promise.all(images.map((image) => this.picture(image))), parent);
		byId("message").focus();
	}

	async picture({ file, sha256 }) {
		return file ?? (await this.conversation.request("GET", `/images/${sha256}`)).blob();
	}

	addAnswer(parent) {
		return this.transcript.add({ role: "assistant", status: "generating", parent_id: parent });
	}

	/** Follow an answer and no other. */
	async start(run) {
		this.leave();
		this.run = run;
		setRunning(true);
		await run.follow();
		if (this.run === run) this.leave();
	}

	/** The answer of ``run`` is stored: note where. */
	stored({ view, question, parent }, { conversation_id, message_id: id, parent_id, model }) {
		const isNew = !this.conversation;
		const conversation = (this.conversation ??= new Conversation(conversation_id));
		if (question) {
			const before = parent === undefined ? (conversation.leaf ?? null) : parent;
			conversation.add(Object.assign(question.message, { id: parent_id, parent_id: before }));
		}
		conversation.add(Object.assign(view.message, { id, parent_id, model }));
		if (isNew) conversation.detail.title = question.message.content.split("\n")[0].slice(0, 60) || "…";
		if (isNew) showConversation(conversation);
		if (question?.message.images.length) chooseModel(model); // Its pictures stay.
		noteChange(conversation.id);
	}

	ended({ view }) {
		view.showEnd();
		this.transcript.showBranches();
		noteChange(this.conversation.id);
		const { status, error, content } = view.message;
		say(`${t(status === "stopped" ? "stopped" : "answer")}: ${error ?? content}`.slice(0, 500));
	}

	async goTo(message) {
		if (!this.run) await this.conversation.activate(message);
		this.transcript.render();
	}
}
