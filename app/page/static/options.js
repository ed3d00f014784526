import { requestJson } from "./api.js";
import { byId, make, on } from "./dom.js";
import { language, t } from "./i18n.js";

const model = byId("model");
const template = byId("template");
const system = byId("system");
let models = [];
let templates = new Map();
let hasChanged = false;

export async function startOptions() {
	on("open-options", "click", () => byId("options").showModal());
	on("options", "input", () => { hasChanged = true; });
	on("template", "input", () => showTemplate());
	on("model", "input", () => localStorage.model = model.value);
	({ models } = await requestJson("GET", "models"));
	const listed = models.filter(({ tasks }) => tasks.includes("chat"));
	model.replaceChildren(make("option", { value: "" }, t("model")), ...listed.map(modelOption));
	byId("hint").hidden = listed.some(({ id }) => !/^(starter|echo)/.test(id));
	chooseModel(localStorage.model);
	const page = await requestJson("GET", "prompt/templates?limit=100");
	templates = new Map(page.templates.map((one) => [one.name, one]));
	template.replaceChildren(...["", ...templates.keys()].map(templateOption));
}

const seesPictures = ({ tasks }) => tasks.includes("vision");

function modelOption(one) {
	const name = seesPictures(one) ? `${one.id} · ${t("sees")}` : one.id;
	return make("option", { value: one.id, disabled: Boolean(one.problem) }, name);
}

function templateOption(name) {
	return make("option", { value: name }, inLanguage(templates.get(name)?.title) || name || "–");
}

/** Choose a model if there is one of that name. */
export function chooseModel(id) {
	model.value = models.some((one) => one.id === id) ? id : "";
}

/** The id of the chosen model, unless there are pictures that it does not see. */
export function chosenModel(hasPictures) {
	return models.find((one) => one.id === model.value && (!hasPictures || seesPictures(one)))?.id;
}

export function showKept({ template: name, variables, system: text } = {}) {
	template.value = name ?? "";
	system.value = text ?? "";
	hasChanged = false;
	showTemplate(variables);
}

function showTemplate(values) {
	const chosen = templates.get(template.value);
	byId("about").textContent = inLanguage(chosen?.description);
	const fields = Object.entries(chosen?.variables ?? {});
	byId("variables").replaceChildren(...fields.map(([name, kind]) => variableField(name, kind, values?.[name])));
	byId("template-name").textContent = template.value && template.selectedOptions[0].text;
}

function variableField(name, { type, description, required, default: usual }, value = usual) {
	const types = { boolean: "checkbox", string: "text" };
	const field = make("input", { type: types[type] ?? "number", name, required: Boolean(required), step: "any" });
	if (type === "boolean") field.checked = value === true;
	else field.value = value ?? "";
	return make("label", {}, inLanguage(description) || name, field);
}

function inLanguage(text) {
	return text?.[language] ?? text?.en ?? text ?? "";
}

/** The fields of a request, if the options are new or have changed. */
export function optionFields(isNew) {
	if (!isNew && !hasChanged) return {};
	const chosen = template.value && { template: template.value, variables: variables() };
	return { system: system.value || undefined, ...chosen };
}

function variables() {
	const given = [...byId("variables").querySelectorAll("input")].filter(({ value }) => value);
	const values = { checkbox: "checked", number: "valueAsNumber", text: "value" };
	return Object.fromEntries(given.map((field) => [field.name, field[values[field.type]]]));
}
