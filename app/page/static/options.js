/** The options of a conversation: model, template with its variables, system text. */
import { requestJson } from "./api.js";
import { byId, make } from "./dom.js";
import { language, t } from "./i18n.js";

const model = byId("model");
const template = byId("template");
let templates = new Map();
let vision;
let hasChanged = false;

/** Let the options work; ``onError(error)`` is told what fails. */
export function startOptions(onError) {
	byId("open-options").addEventListener("click", () => {
		byId("options").showModal();
		if (!templates.size) readTemplates().catch(onError);
	});
	byId("options").addEventListener("input", () => { hasChanged = true; });
	template.addEventListener("input", () => showTemplate({}));
	model.addEventListener("input", () => localStorage.setItem("model", model.value));
}

/** Read the models that can be chosen. */
export async function loadModels() {
	const { models } = await requestJson("GET", "models");
	const listed = models.filter(({ tasks }) => tasks.includes("chat"));
	model.replaceChildren(make("option", { value: "" }, t("default-model")), ...listed.map(modelOption));
	chooseModel(localStorage.getItem("model"));
}

function modelOption({ id, tasks, problem }) {
	const more = problem ? t("unusable") : tasks.includes("vision") && t("sees");
	return make("option", { value: id, disabled: Boolean(problem) }, more ? `${id} · ${more}` : id);
}

/** Choose a model if there is one of that name. */
export function chooseModel(id) {
	model.value = [...model.options].some(({ value }) => value === id) ? id : "";
}

/** What the server says of pictures. */
export const pictureRules = async () => (vision ??= await requestJson("GET", "vision/info"));

/** The model as a field of a request; pictures go to one that sees. */
export async function modelField(hasPictures) {
	const { value } = model;
	const sees = !hasPictures || (await pictureRules()).models.some(({ id }) => id === value);
	return value && sees ? { model: value } : {};
}

/** Show what a conversation keeps to. */
export function showKept({ template: name, variables, system } = {}) {
	template.replaceChildren(...["", name ?? ""].filter((one, at, all) => all.indexOf(one) === at).map(templateOption));
	template.value = name ?? "";
	byId("system").value = system ?? "";
	templates = new Map();
	hasChanged = false;
	showTemplate(variables);
}

async function readTemplates() {
	const page = await requestJson("GET", "prompt/templates?limit=100");
	const { value } = template;
	templates = new Map(page.templates.map((one) => [one.name, one]));
	const names = new Set(["", ...templates.keys(), value]);
	template.replaceChildren(...[...names].map(templateOption));
	template.value = value;
	showTemplate({});
}

function templateOption(name) {
	return make("option", { value: name }, name ? inLanguage(templates.get(name)?.title) || name : t("none"));
}

function showTemplate(values = {}) {
	const chosen = templates.get(template.value);
	byId("about").textContent = inLanguage(chosen?.description);
	const fields = Object.entries(chosen?.variables ?? {});
	byId("variables").replaceChildren(...fields.map(([name, kind]) => variableField(name, kind, values[name])));
	byId("template-name").textContent = template.value && template.selectedOptions[0].text;
}

function variableField(name, { type, description, required, default: usual }, value = usual) {
	const types = { boolean: "checkbox", string: "text" };
	const checked = type === "boolean" && value === true;
	const field = make("input", { name, required, checked, type: types[type] ?? "number", step: "any" });
	if (type !== "boolean") field.value = value ?? "";
	return make("label", {}, inLanguage(description) || name, field);
}

function inLanguage(text) {
	return text?.[language()] ?? text?.en ?? text ?? "";
}

/** The fields of a request that a conversation keeps to, if they are new or have changed. */
export function optionFields(isNew) {
	if (!isNew && !hasChanged) return {};
	const fields = {};
	if (byId("system").value) fields.system = byId("system").value;
	if (template.value) Object.assign(fields, { template: template.value, variables: variables() });
	return fields;
}

function variables() {
	const given = [...byId("variables").querySelectorAll("input")].filter(({ type, value }) => type === "checkbox" || value);
	const valueOf = { checkbox: (field) => field.checked, number: (field) => field.valueAsNumber };
	return Object.fromEntries(given.map((field) => [field.name, valueOf[field.type]?.(field) ?? field.value]));
}
