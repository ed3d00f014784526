/** Where the reader writes: text, and pictures by button, paste and drop. */
import { byId, iconButton, make } from "./dom.js";
import { t } from "./i18n.js";

const field = byId("message");

/**
 * ``send({text, images, parent})`` gets what was written, ``rules()`` promises what the server says of
 * pictures, ``error(error)`` is told what is wrong with one.
 */
export class Composer {
	images = [];
	isRunning = false;

	constructor(hooks) {
		this.hooks = hooks;
		byId("composer").addEventListener("submit", (event) => {
			event.preventDefault();
			this.send();
		});
		field.addEventListener("keydown", (event) => this.press(event));
		field.addEventListener("input", () => this.show());
		byId("cancel").addEventListener("click", () => this.clear());
		byId("attach").addEventListener("click", () => byId("file").click());
		byId("file").addEventListener("change", () => this.add(byId("file").files));
		field.addEventListener("paste", (event) => {
			if (event.clipboardData.files.length) event.preventDefault();
			this.add(event.clipboardData.files);
		});
		this.listenForDrops();
		this.write(sessionStorage.getItem("draft") ?? "");
	}

	listenForDrops() {
		const drop = byId("drop");
		document.addEventListener("dragover", (event) => {
			event.preventDefault();
			drop.hidden = !event.dataTransfer.types.includes("Files");
		});
		document.addEventListener("dragleave", (event) => { drop.hidden ||= !event.relatedTarget; });
		document.addEventListener("drop", (event) => {
			event.preventDefault();
			drop.hidden = true;
			this.add(event.dataTransfer.files);
		});
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
		byId("editing").hidden = this.parent === undefined;
		byId("pictures").replaceChildren(...this.images.map((image, at) => this.picture(image, at)));
	}

	picture({ src }, at) {
		const number = at + 1;
		const remove = () => {
			this.images.splice(at, 1);
			this.show();
		};
		const button = iconButton("close", t("remove-picture", { number }), remove);
		return make("li", {}, make("img", { src, alt: t("picture", { number }) }), button);
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
		this.hooks.send({ text, images, parent });
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
			await this.read(file).then((image) => this.images.push(image)).catch(this.hooks.error);
		}
		byId("file").value = "";
		this.show();
	}

	/** The picture in a file; throws an error if the server would refuse it. */
	async read(file) {
		const { default_model: model, images: rules } = await this.hooks.rules();
		const { max_images: count, max_bytes: most } = rules;
		if (!model) throw new Error(t("no-pictures"));
		if (this.images.length === count) throw new Error(t("too-many", { count }));
		if (!rules.mime_types.includes(file.type)) throw new Error(t("no-picture", file));
		if (file.size > most) throw new Error(t("too-large", { name: file.name, size: most >> 20 }));
		const reader = new FileReader();
		reader.readAsDataURL(file);
		await new Promise((resolve) => { reader.onloadend = resolve; });
		return { base64: reader.result, mime: file.type, file, src: URL.createObjectURL(file) };
	}
}
