import { copyButton, iconButton, make } from "./dom.js";
import { t } from "./i18n.js";
import { LiveMarkdown } from "./markdown.js";

/** Shows a message of the API. */
export class MessageView {
	note = make("p", { className: "note", hidden: true });
	foot = make("footer");
	branches = make("span");

	constructor(message, chat) {
		Object.assign(this, { message, chat, isAnswer: message.role !== "user" });
		const label = { className: `message ${message.role}`, ariaLabel: t(this.isAnswer ? "answer" : "you") };
		const parts = this.isAnswer ? this.answer() : this.question();
		this.element = make("article", label, parts, this.note, this.foot);
		this.showEnd();
	}

	question() {
		const { content, images = [] } = this.message;
		const pictures = images.map((image) => this.picture(image));
		return [make("div", { className: "pictures" }, pictures), content && make("div", { className: "bubble" }, content)];
	}

	picture(image) {
		const shown = make("img", { alt: t("picture") });
		this.chat.picture(image).then((file) => { shown.src = URL.createObjectURL(file); }, () => {});
		return shown;
	}

	answer() {
		this.content = new LiveMarkdown();
		this.thinking = new LiveMarkdown();
		this.thought = make("details", {}, make("summary", {}, t("thinking")), this.thinking.element);
		this.phase = make("span");
		this.progress = make("progress");
		this.waiting = make("label", { className: "waiting", hidden: true }, this.phase, this.progress);
		this.setText(this.message);
		return [this.thought, this.waiting, this.content.element];
	}

	/** Show this in place of what there is. */
	setText({ text = "", content = text, thinking = "" }) {
		Object.assign(this.message, { content, thinking });
		this.content.reset(content);
		this.thinking.reset(thinking);
		this.thought.hidden = !thinking;
	}

	/** Add to the "content" or to the "thinking". */
	add(part, piece) {
		this.message[part] += piece;
		this[part].append(piece);
		this.thought.hidden = !this.message.thinking;
		this.waiting.hidden = true;
	}

	/** Say what is waited for; ``share`` (0 to 1) is how far that is. */
	showWaiting(text, share) {
		this.phase.textContent = text;
		this.progress.hidden = share === undefined;
		this.progress.value = share ?? 0;
		this.waiting.hidden = false;
	}

	/** Say something below; ``again`` is what the button does. */
	showNote(text, again) {
		const button = again && make("button", { className: "text", onclick: again }, t("again"));
		this.note.replaceChildren(text, button ?? "");
		this.note.hidden = !text;
		if (again) this.waiting.hidden = true;
	}

	/** Show how it ended and what can be done. */
	showEnd() {
		const { message, chat, isAnswer, foot } = this;
		foot.replaceChildren();
		if (message.status === "generating") return;
		const again = () => chat.askAgain(message);
		const button = isAnswer ? iconButton("↻", "again", again) : iconButton("✎", "edit", () => chat.edit(message));
		foot.append(copyButton(() => message.content), button, this.branches, this.facts());
		if (!isAnswer) return;
		this.content.flush();
		this.thinking.flush();
		this.waiting.hidden = true;
		if (message.status === "failed") this.showNote(message.error, again);
		else this.showNote("");
	}

	facts() {
		const { model, status, finish_reason: reason } = this.message;
		const facts = [model, status === "stopped" && t("stopped"), reason === "length" && t("cut-off")];
		return make("small", {}, facts.filter(Boolean).join(" · "));
	}

	/** Show which branch it is, with the way to the others. */
	showBranches(siblings) {
		const at = siblings.indexOf(this.message);
		const step = (character, name, to) =>
			iconButton(character, name, () => this.chat.goTo(siblings[to]), !siblings[to]);
		const shown = [step("‹", "previous", at - 1), `${at + 1} / ${siblings.length}`, step("›", "next", at + 1)];
		this.branches.replaceChildren(...(siblings.length > 1 ? shown : []));
	}
}
