/** One message on the page: what it says, how far it is, and what can be done with it. */
import { copyButton, iconButton, make } from "./dom.js";
import { t } from "./i18n.js";
import { LiveMarkdown } from "./markdown.js";

/**
 * Shows ``message``, as the API stores it. The reader may do what ``actions`` has: edit(message),
 * again(message), branch(message, step); picture(sha256) gives a file, and rendered() is called.
 */
export class MessageView {
	note = make("p", { class: "note", hidden: true });
	foot = make("footer");
	branches = make("span");

	constructor(message, actions) {
		Object.assign(this, { message, actions });
		const isAnswer = message.role !== "user";
		const parts = isAnswer ? this.answer() : this.question();
		const label = { class: `message ${message.role}`, "aria-label": t(isAnswer ? "answer" : "you") };
		this.element = make("article", label, parts, this.note, this.foot);
		this.showEnd();
	}

	question() {
		const { content, images = [] } = this.message;
		const row = make("div", { class: "pictures" }, images.map((image, at) => this.picture(image, at + 1)));
		return [images.length ? row : null, content && make("div", { class: "bubble" }, content)];
	}

	picture({ src, sha256, width, height }, number) {
		const shown = make("img", { alt: t("picture", { number }), src, width, height });
		if (!src) this.actions.picture(sha256).then((file) => { shown.src = URL.createObjectURL(file); }, () => {});
		return shown;
	}

	answer() {
		const [text, thinking] = [0, 1].map(() => make("div", { class: "markdown" }));
		this.summary = make("summary", {}, t("thinking"));
		this.thought = make("details", {}, this.summary, thinking);
		this.phase = make("span");
		this.progress = make("progress", { "aria-label": t("progress") });
		this.waiting = make("p", { class: "waiting", hidden: true }, this.phase, this.progress);
		this.text = new LiveMarkdown(text, this.actions.rendered);
		this.thinking = new LiveMarkdown(thinking, this.actions.rendered);
		this.setText(this.message);
		return [this.thought, this.waiting, text];
	}

	/** Show this in place of what there is. */
	setText({ text, content = text, thinking = "" }) {
		Object.assign(this.message, { content, thinking });
		this.text.reset(content);
		this.thinking.reset(thinking);
		this.thought.hidden = !thinking;
	}

	addText(piece) {
		this.message.content += piece;
		this.text.append(piece);
		this.summary.textContent = t("thinking");
		this.waiting.hidden = true;
	}

	addThinking(piece) {
		this.message.thinking += piece;
		this.thinking.append(piece);
		this.summary.textContent = t("thinking-now");
		this.thought.hidden = false;
		this.waiting.hidden = true;
	}

	/** Say what is waited for; ``share`` (0 to 1) is how far that is, if it is known. */
	showWaiting(text, share = null) {
		this.phase.textContent = text;
		this.progress.hidden = share === null;
		this.progress.value = share ?? 0;
		this.waiting.hidden = false;
		this.actions.rendered();
	}

	/** Say something below; ``again`` is what the button does. */
	showNote(text, again) {
		const button = again && make("button", { type: "button", class: "text", onclick: again }, t("try-again"));
		this.note.replaceChildren(text, button ?? "");
		this.note.hidden = !text;
		if (again) this.waiting.hidden = true;
		this.actions.rendered();
	}

	/** Show how it ended and what can be done; nothing of this while it is being made. */
	showEnd() {
		const { message, actions, foot } = this;
		const { role, status, error } = message;
		foot.replaceChildren();
		if (status === "generating") return;
		const again = () => actions.again(message);
		const edit = iconButton("edit", t("edit"), () => actions.edit(message));
		const buttons = role === "user" ? edit : iconButton("again", t("again"), again);
		foot.append(copyButton(t("copy"), () => message.content), buttons, this.branches, this.facts());
		if (role === "user") return;
		this.text.flush();
		this.thinking.flush();
		this.waiting.hidden = true;
		this.summary.textContent = t("thinking");
		if (status === "failed") this.showNote(t("failed", { detail: error }), again);
		else this.showNote("");
	}

	facts() {
		const { model, usage, status, finish_reason: reason, context } = this.message;
		const facts = [
			model,
			usage?.completion_tokens && t("tokens", { count: usage.completion_tokens }),
			status === "stopped" && t("stopped"),
			reason === "length" && t("cut-off"),
			context?.dropped?.length && t("dropped", { count: context.dropped.length }),
		];
		return make("small", {}, facts.filter(Boolean).join(" · "));
	}

	/** Show which of its siblings it is, with the way to the others. */
	showBranches(at, count) {
		const step = (name, by) => {
			const disabled = at + by < 0 || at + by === count;
			return iconButton(name, t(name), () => this.actions.branch(this.message, by), { disabled });
		};
		const shown = count > 1 ? [step("previous", -1), `${at + 1} / ${count}`, step("next", 1)] : [];
		this.branches.replaceChildren(...shown);
	}
}
