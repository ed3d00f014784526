import { byId, on } from "./dom.js";
import { MessageView } from "./message.js";

const SHOWN = 40; // At first, and more with every "show more".
const main = byId("main");

/** Shows the active branch of ``conversation``. */
export class Transcript {
	views = [];
	isAtEnd = true;

	constructor(actions) {
		this.actions = { ...actions, rendered: () => this.keepToEnd() };
		on("main", "scroll", () => {
			this.isAtEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
		});
		on("earlier", "click", () => this.showEarlier());
		new ResizeObserver(() => this.keepToEnd()).observe(main);
	}

	/** Show a conversation; null: a new one. */
	show(conversation) {
		Object.assign(this, { conversation, most: SHOWN, isAtEnd: true });
		this.render();
	}

	render() {
		const path = this.conversation?.path() ?? [];
		this.views = [];
		byId("messages").replaceChildren();
		byId("welcome").hidden = false;
		path.slice(-this.most).forEach((message) => this.add(message));
		byId("earlier").hidden = path.length <= this.most && !(this.conversation?.cursor && path[0]?.parent_id);
		this.showBranches();
	}

	add(message) {
		const view = new MessageView(message, this.actions);
		this.views.push(view);
		byId("messages").append(view.element);
		byId("welcome").hidden = true;
		this.keepToEnd();
		return view;
	}

	/** Take away what follows this message; undefined: the last that is stored, null: everything. */
	cutAfter(id) {
		const isKept = ({ message }) => (id === undefined ? message.id : message.id === id);
		for (const view of this.views.splice(this.views.findLastIndex(isKept) + 1)) view.element.remove();
	}

	showBranches() {
		for (const view of this.views) view.showBranches(this.conversation.siblings(view.message));
	}

	/** Scroll to the end, if the reader is there. */
	keepToEnd() {
		if (this.isAtEnd) main.scrollTop = main.scrollHeight;
	}

	async showEarlier() {
		const { conversation } = this;
		const below = main.scrollHeight - main.scrollTop;
		this.most += SHOWN;
		if (conversation.cursor && conversation.path().length < this.most) await conversation.read();
		this.render();
		main.scrollTop = main.scrollHeight - below;
	}
}
