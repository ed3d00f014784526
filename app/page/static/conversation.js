import { query, request, requestJson } from "./api.js";

/** One conversation: a tree of messages, as far as it has been read. */
export class Conversation {
	messages = new Map();
	detail = {};

	constructor(id) {
		this.id = id;
		this.address = `conversations/${encodeURIComponent(id)}`;
	}

	/** Read the newest messages, as far as the end of the active branch. */
	static async open(id, signal) {
		const opened = new Conversation(id);
		do await opened.read(signal);
		while (opened.cursor && !opened.messages.has(opened.leaf));
		return opened;
	}

	/** Send a request to an address below that of the conversation. */
	request(method, below = "", options) {
		return request(method, this.address + below, options);
	}

	/** Read older messages. */
	async read(signal) {
		const wanted = query({ branch: "all", limit: 50, cursor: this.cursor });
		const { messages, ...detail } = await requestJson("GET", this.address + wanted, { signal });
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

	/** The messages with the same parent. */
	siblings({ parent_id: parent }) {
		return [...this.messages.values()].filter((message) => message.parent_id === parent);
	}

	/** Change to the newest branch that begins with this message. */
	async activate({ id }) {
		for (const message of this.messages.values()) if (message.parent_id === id) id = message.id;
		await this.change({ active_leaf_id: id });
		this.leaf = id;
	}

	async change(json) {
		this.detail = await requestJson("PATCH", this.address, { json });
	}

	/** Note a new message at the end of the branch. */
	add(message) {
		this.messages.set(message.id, message);
		this.leaf = message.id;
	}
}
