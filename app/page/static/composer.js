/** Where the reader writes: text, and pictures by button, paste and drop. */
import { byId, iconButton, make, on } from "./dom.js";
import { t } from "./i18n.js";
import { showError } from "./shell.js";

const field = byId("message");

/** Gives what is written to ``onSend({text, images, parent})``. */
export class Composer {
	images = [];

	constructor(onSend) {
		this.onSend = onSend;
		on("send", "click", () => this.send());
		on("cancel", "click", () => this.clear());
		on("message", "keydown", (event) => this.press(event));
		on("message", "input", () => this.show());
		on("message", "paste", (event) => {
			if (event.clipboardData.files.length) event.preventDefault();
			this.add(event.clipboardData.files);
		});
		on("attach", "click", () => byId("file").click());
		on("file", "change", () => this.add(byId("file").files));
		document.addEventListener("dragover", (event) => event.preventDefault());
		document.addEventListener("drop", (event) => {
			event.preventDefault();
			this.add(event.dataTransfer.files);
		});
		this.write(sessionStorage.getItem("draft") ?? "");
	}

	/** Enter sends, unless it ends a syllable of an input method, or the keys are on the screen. */
	press(event) {
		const isComposing = event.isComposing || event.keyCode === 229;
		if (event.key !== "Enter" || event.shiftKey || isComposing) return;
		if (matchMedia("(pointer: coarse)").matches) return;
		event.preventDefault();
		this.send();
	}

	show() {
		sessionStorage.setItem("draft", field.value);
		field.style.height = "auto";
		field.style.height = `${field.scrollHeight}px`;
		byId("send").disabled = !(field.value.trim() || this.images.length);
		byId("cancel").hidden = this.parent === undefined;
		byId("pictures").replaceChildren(...this.images.map((image) => this.picture(image)));
	}

	picture(image) {
		const remove = () => {
			this.images = this.images.filter((other) => other !== image);
			this.show();
		};
		return make("li", {}, make("img", { src: image.src, alt: t("picture") }), iconButton("✕", "delete", remove));
	}

	/** Show the button that stops, or the one that sends. */
	setRunning(isRunning) {
		const hadFocus = document.activeElement.matches(".round");
		this.isRunning = isRunning;
		byId("send").hidden = isRunning;
		byId("stop").hidden = !isRunning;
		if (hadFocus) byId(isRunning ? "stop" : "message").focus();
	}

	send() {
		const { images, parent } = this;
		const text = field.value.trim();
		if (this.isRunning || !(text || images.length)) return;
		this.clear();
		this.onSend({ text, images, parent });
	}

	clear() {
		this.write("");
	}

	/** Show a text; ``parent`` is what it follows if it changes a stored question. */
	write(text, files = [], parent = undefined) {
		Object.assign(this, { images: [], parent });
		field.value = text;
		this.add(files);
	}

	async add(files) {
		for (const file of [...files]) {
			if (file.type.startsWith("image/")) this.images.push(await read(file));
			else showError(new Error(t("no-picture", file)));
		}
		byId("file").value = "";
		this.show();
	}
}

async function read(file) {
	const reader = new FileReader();
	reader.readAsDataURL(file);
	await new Promise((resolve) => { reader.onloadend = resolve; });
	return { base64: reader.result, mime: file.type, file, src: URL.createObjectURL(file) };
}
