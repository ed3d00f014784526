import { byId, on } from "./dom.js";
import { MessageView } from "./message.js";

const main = byId("main");
const messages = byId("messages");

/** Shows the active branch; who reads its end stays there while it grows. */
export class Transcript {
	constructor(chat) {
		this.chat = chat;
		on("main", "scroll", () => {
			const left = main.scrollHeight - main.scrollTop - main.clientHeight;
			const isUp = main.scrollTop < this.top && main.scrollHeight >= this.height;
			if (left < 80 || isUp) this.isAtEnd = left < 80;
			this.top = main.scrollTop;
			this.height = main.scrollHeight;
		});
		on("earlier", "click", () => this.showEarlier());
		const sizes = new ResizeObserver(() => {
			if (this.isAtEnd) main.scrollTop = main.scrollHeight;
		});
		sizes.observe(main);
		sizes.observe(messages);
	}

	show() {
		this.isAtEnd = true;
		this.render();
	}

	render() {
		const { conversation } = this.chat;
		const path = conversation?.path() ?? [];
		this.views = [];
		messages.replaceChildren();
		byId("welcome").hidden = false;
		for (const message of path) this.add(message);
		byId("earlier").hidden = !(conversation?.cursor && path[0]?.parent_id);
		this.showBranches();
	}

	add(message) {
		const view = new MessageView(message, this.chat);
		this.views.push(view);
		messages.append(view.element);
		byId("welcome").hidden = true;
		return view;
	}

	/** Take away what follows a message; undefined: the last one stored, null: all. */
	cutAfter(id) {
		const isKept = ({ message }) => (id === undefined ? message.id : message.id === id);
		for (const view of this.views.splice(this.views.findLastIndex(isKept) + 1)) view.element.remove();
	}

	showBranches() {
		for (const view of this.views) view.showBranches(this.chat.conversation.siblings(view.message));
	}

	async showEarlier() {
		const below = main.scrollHeight - main.scrollTop;
		await this.chat.conversation.read();
		this.render();
		main.scrollTop = main.scrollHeight - below;
	}
}
