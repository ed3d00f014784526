/** One stored conversation: a tree of messages, as far as it has been read. */
import { query, request, requestJson } from "./api.js";

/** Reads and changes the conversation with this id. */
export class Conversation {
	messages = new Map();
	detail = {};

	constructor(id) {
		this.id = id;
	}

	/** Read the newest messages, at least as many that the active branch's end is among them. */
	static async open(id, signal) {
		const opened = new Conversation(id);
		do await opened.read(signal);
		while (opened.cursor && !opened.messages.has(opened.leaf));
		return opened;
	}

	/** Send a request to what lies below the address of the conversation. */
	request(method, below = "", options = {}) {
		return request(method, `conversations/${encodeURIComponent(this.id)}${below}`, options);
	}

	/** Read a page of messages, older than those that are known. */
	async read(signal) {
		const wanted = query({ branch: "all", limit: 200, cursor: this.cursor });
		const { messages, ...detail } = await (await this.request("GET", wanted, { signal })).json();
		const listed = messages.filter((message) => message.listed !== false);
		this.messages = new Map([...listed.map((message) => [message.id, message]), ...this.messages]);
		Object.assign(this, { detail, leaf: detail.active_leaf_id, cursor: detail.next_cursor });
	}

	/** The active branch, oldest first. */
	path() {
		const path = [];
		for (let at = this.messages.get(this.leaf); at; at = this.messages.get(at.parent_id)) path.push(at);
		return path.reverse();
	}

	/** The messages that stand in place of this one, itself included. */
	siblings({ parent_id: parent }) {
		return [...this.messages.values()].filter((message) => message.parent_id === parent);
	}

	/** Go on with the newest end of the branch that begins with this message. */
	async activate({ id }) {
		for (const message of this.messages.values()) if (message.parent_id === id) id = message.id;
		await this.change({ active_leaf_id: id });
		this.leaf = id;
	}

	/** Change the title or the active branch. */
	async change(json) {
		this.detail = await (await this.request("PATCH", "", { json })).json();
	}

	/** Note a message that has just been stored at the end of the branch. */
	add(message) {
		this.messages.set(message.id, message);
		this.leaf = message.id;
	}

	/** The file of a picture. */
	async picture(sha256) {
		return (await this.request("GET", `/images/${sha256}`)).blob();
	}
}

/** A page of the list of conversations. */
export function listConversations(words, cursor, signal) {
	return requestJson("GET", `conversations${query({ limit: 40, query: words, cursor })}`, { signal });
}
