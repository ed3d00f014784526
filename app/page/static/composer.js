/** Where the reader writes: text, and pictures by button, paste and drop. */
import { byId, iconButton, make, on, showError } from "./dom.js";
import { t } from "./i18n.js";

const field = byId("message");
let images = [];
let parent; // What a changed question follows; undefined: none is changed.
let isRunning = false;

/** Give what is written to ``onSend({text, images, parent})``; false: it stays. */
export function startComposer(onSend) {
	const send = () => {
		const asked = { text: field.value.trim(), images, parent };
		if (isRunning || isEmpty()) return;
		onSend(asked) ?? write();
	};
	on("send", "click", send);
	on("cancel", "click", () => write());
	on("message", "keydown", (event) => {
		if (!endsText(event)) return;
		event.preventDefault();
		send();
	});
	on("message", "input", show);
	on("message", "paste", (event) => {
		if (event.clipboardData.files.length) event.preventDefault();
		add(event.clipboardData.files);
	});
	on("attach", "click", () => byId("file").click());
	on("file", "change", () => add(byId("file").files));
	addEventListener("dragover", (event) => event.preventDefault());
	addEventListener("drop", (event) => {
		event.preventDefault();
		add(event.dataTransfer.files);
	});
	write(sessionStorage.draft);
}

const isEmpty = () => !(field.value.trim() || images.length);

/** Enter sends, unless it ends a syllable of an input method or is on the screen. */
function endsText({ key, shiftKey, isComposing, keyCode }) {
	const isEnter = key === "Enter" && !shiftKey && !isComposing && keyCode !== 229;
	return isEnter && !matchMedia("(pointer: coarse)").matches;
}

function show() {
	sessionStorage.draft = field.value;
	field.style.height = "auto";
	field.style.height = `${field.scrollHeight}px`;
	byId("send").disabled = isEmpty();
	byId("cancel").hidden = parent === undefined;
	byId("pictures").replaceChildren(...images.map(picture));
}

function picture(image) {
	const remove = () => {
		images = images.filter((other) => other !== image);
		show();
	};
	return make("li", {}, make("img", { src: image.src, alt: t("picture") }), iconButton("✕", "delete", remove));
}

/** Show the button that stops, or the one that sends. */
export function setRunning(value) {
	const hadFocus = document.activeElement.matches(".round");
	isRunning = value;
	byId("send").hidden = isRunning;
	byId("stop").hidden = !isRunning;
	if (hadFocus) byId(isRunning ? "stop" : "message").focus();
}

/** Show a text; ``follows`` is what it follows if it changes a stored question. */
export function write(text = "", files = [], follows = undefined) {
	images = [];
	parent = follows;
	field.value = text;
	add(files);
}

async function add(files) {
	for (const file of [...files]) {
		if (file.type.startsWith("image/")) images.push(await read(file));
		else showError(new Error(t("no-picture", file)));
	}
	byId("file").value = "";
	show();
}

async function read(file) {
	const reader = new FileReader();
	reader.readAsDataURL(file);
	await new Promise((resolve) => { reader.onloadend = resolve; });
	return { json: { base64: reader.result, mime: file.type }, file, src: URL.createObjectURL(file) };
}
