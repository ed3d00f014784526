/** Where the reader writes: text, and pictures by button, paste and drop. */
import { byId, iconButton, make, on } from "./dom.js";
import { t } from "./i18n.js";
import { showError } from "./shell.js";

const field = byId("message");

/** ``onSend({text, images, parent})`` gets what was written. */
export class Composer {
	images = [];
	isRunning = false;

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

	/** Write this in place of what there is. */
	write(text) {
		field.value = text;
		this.show();
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

	/** While an answer is being made, there is a button that stops it. */
	setRunning(isRunning) {
		const [send, stop] = [byId("send"), byId("stop")];
		const hadFocus = [send, stop].includes(document.activeElement);
		this.isRunning = isRunning;
		send.hidden = isRunning;
		stop.hidden = !isRunning;
		if (hadFocus) (isRunning ? stop : field).focus();
	}

	send() {
		const { images, parent } = this;
		const text = field.value.trim();
		if (this.isRunning || !(text || images.length)) return;
		this.clear();
		this.onSend({ text, images, parent });
	}

	clear() {
		Object.assign(this, { images: [], parent: undefined });
		this.write("");
	}

	/** Have a stored question changed, which begins a branch after ``parent``. */
	edit(text, files, parent) {
		Object.assign(this, { images: [], parent });
		this.write(text);
		this.add(files);
		field.focus();
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
