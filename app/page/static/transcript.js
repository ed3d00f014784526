/** The messages of the open conversation, as they stand on the page. */
import { byId } from "./dom.js";
import { MessageView } from "./message.js";

const SHOWN = 40; // Messages at first, and more with every "earlier".
const main = byId("main");

/** Shows the active branch of ``conversation``. */
export class Transcript {
	views = [];
	isAtEnd = true;

	constructor(actions) {
		this.actions = { ...actions, rendered: () => this.keepToEnd() };
		main.addEventListener("scroll", () => {
			this.isAtEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
		});
		byId("earlier").addEventListener("click", () => this.showEarlier());
		new ResizeObserver(() => this.keepToEnd()).observe(main);
	}

	/** Show a conversation; null: a new one. */
	show(conversation) {
		Object.assign(this, { conversation, most: SHOWN, isAtEnd: true });
		this.render();
	}

	/** Show its branch as it is now. */
	render() {
		const path = this.conversation?.path() ?? [];
		this.views = [];
		byId("messages").replaceChildren();
		path.slice(-this.most).forEach((message) => this.add(message));
		const isCut = this.conversation?.cursor && path[0]?.parent_id;
		byId("earlier").hidden = path.length <= this.most && !isCut;
		byId("welcome").hidden = path.length > 0;
		this.showBranches();
	}

	/** Add a message at the end. */
	add(message) {
		const view = new MessageView(message, this.actions);
		this.views.push(view);
		byId("messages").append(view.element);
		byId("welcome").hidden = true;
		this.keepToEnd();
		return view;
	}

	/** Take away what follows the message with this id; null: everything. */
	cutAfter(id) {
		this.cutAt(this.views.findIndex((view) => view.message.id === id) + 1);
	}

	/** Take away what was never stored, because it was refused. */
	cutUnsent() {
		const at = this.views.findIndex((view) => !view.message.id);
		if (at >= 0) this.cutAt(at);
	}

	cutAt(at) {
		for (const view of this.views.splice(at)) view.element.remove();
	}

	showBranches() {
		for (const view of this.views) {
			const siblings = this.conversation.siblings(view.message);
			view.showBranches(siblings.indexOf(view.message), siblings.length);
		}
	}

	/** Scroll to the end, if the reader is there. */
	keepToEnd() {
		if (this.isAtEnd) main.scrollTop = main.scrollHeight;
	}

	async showEarlier() {
		const below = main.scrollHeight - main.scrollTop;
		this.most += SHOWN;
		const { conversation } = this;
		if (conversation.cursor && conversation.path().length < this.most) await conversation.read();
		this.render();
		main.scrollTop = main.scrollHeight - below;
	}
}
