// One turn on the page: its words and pictures, what can be done with it, and how it stands with it.
// SPDX-License-Identifier: MIT
import * as conversations from "./conversations.js";
import { showPicture } from "./dialogs.js";
import { copyButton, iconButton, make, say } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { showBlob } from "./pictures.js";
import { text } from "./texts.js";

/** 12.3, 123, 1,234. */
const rounded = (n) => n.toLocaleString("en", { maximumFractionDigits: n < 100 ? 1 : 0 });

export function thumbnail(picture) {
  const image = make("img", { alt: "" });
  showBlob(image, picture.blob);
  const label = text("showPicture", { name: picture.name });
  return make(
    "button",
    { class: "thumbnail", type: "button", ariaLabel: label, title: label, onclick: () => showPicture(picture) },
    image,
  );
}

const countOf = (n) => (n === 1 ? text("oneToken") : text("tokens", { n }));

export const speedOf = (figures) => text("tokensPerSecond", { speed: rounded(figures.speed) });

/** `actions`: what the user wants done with a turn: edit(turn, words), regenerate(turn), goOn(turn). */
export class TurnView {
  constructor(turn, actions) {
    this.turn = turn;
    this.actions = actions;
    this.body = make("div", { class: "turn-body" });
    this.state = make("p", { class: "turn-state" });
    this.tools = make("div", { class: "turn-tools" });
    const isUser = turn.role === "user";
    this.element = make(
      "li",
      { class: `turn ${turn.role}` },
      make("h2", { class: "unseen" }, text(isUser ? "you" : "theModel")),
    );
    if (turn.pictures?.length)
      this.element.append(make("div", { class: "thumbnails" }, ...turn.pictures.map(thumbnail)));
    this.element.append(this.body, this.state, this.tools);
    this.markdown = isUser ? null : new MarkdownView(this.body);
    this.makeTools();
    this.update();
  }

  makeTools() {
    this.before = iconButton("before", text("branchBefore"), () => this.showVersion("before"));
    this.version = make("span", { class: "version" });
    this.after = iconButton("after", text("branchAfter"), () => this.showVersion("after"));
    this.branches = make(
      "span",
      { class: "branches", role: "group", ariaLabel: text("branches") },
      this.before,
      this.version,
      this.after,
    );
    this.editButton = iconButton("edit", text("edit"), () => this.edit());
    this.again = iconButton("again", text("regenerate"), () => this.actions.regenerate(this.turn));
    this.goOn = iconButton("goOn", text("goOn"), () => this.actions.goOn(this.turn));
    this.figures = make("span", { class: "figures" });
    this.copy = copyButton(text("copy"), () => this.turn.text);
    const tools = [this.branches, this.copy, this.editButton];
    if (this.turn.role === "assistant") tools.push(this.again, this.goOn, this.figures);
    this.tools.append(...tools);
  }

  async showVersion(which) {
    const turn = conversations.versions(this.turn)[which];
    await conversations.chooseVersion(turn);
    this.actions.shown(turn, which);
    const { n, count } = conversations.versions(turn);
    say(text("saidBranch", { n, count }));
  }

  /** Puts the focus on what led here from another version. */
  focus(which) {
    const wanted = which === "before" ? this.before : this.after;
    const other = which === "before" ? this.after : this.before;
    (wanted.disabled ? other : wanted).focus();
  }

  update() {
    if (this.form) return; // it is being edited
    const { turn } = this;
    const runs = turn.state === "running";
    if (this.markdown) this.markdown.update(turn.text);
    else if (this.body.textContent !== turn.text) this.body.textContent = turn.text;
    this.element.setAttribute("aria-busy", String(runs));
    this.body.hidden = !turn.text;
    this.tools.hidden = runs;
    this.updateState();
    if (!runs) this.updateTools();
  }

  updateState() {
    const { state, text: words, error, reconnects } = this.turn;
    let shown = "";
    if (state === "running" && reconnects) shown = text("reconnecting");
    else if (state === "running" && !words) shown = text("thinking");
    else if (state === "broken") shown = error || text("wasBroken");
    else if (state === "stopped") shown = text("wasStopped");
    else if (state === "cut") shown = text("wasCut");
    if (this.state.textContent !== shown) this.state.textContent = shown;
    this.state.hidden = !shown;
    this.state.classList.toggle("error", state === "broken");
    this.state.classList.toggle("waits", state === "running");
  }

  updateTools() {
    const { turn } = this;
    const { n, count, before, after } = conversations.versions(turn);
    const busy = conversations.isBusy(turn.conversation);
    this.branches.hidden = count < 2;
    this.version.textContent = text("branchOf", { n, count });
    this.before.disabled = busy || !before;
    this.after.disabled = busy || !after;
    this.editButton.disabled = this.again.disabled = this.goOn.disabled = busy;
    this.copy.hidden = !turn.text;
    this.goOn.hidden = !["stopped", "cut", "broken"].includes(turn.state) || !turn.text;
    this.figures.textContent = turn.figures
      ? text("turnFigures", { tokens: countOf(turn.figures.tokens), speed: rounded(turn.figures.speed) })
      : "";
  }

  // ---- editing -----------------------------------------------------------------------------------

  edit() {
    if (this.form || conversations.isBusy(this.turn.conversation)) return;
    const area = make("textarea", { ariaLabel: text("editing"), value: this.turn.text });
    const words = text(this.turn.role === "user" ? "saveAndSend" : "save");
    this.form = make(
      "form",
      { class: "edit" },
      area,
      make(
        "div",
        { class: "edit-buttons" },
        make("button", { type: "button", onclick: () => this.endEditing() }, text("cancel")),
        make("button", { type: "submit", class: "primary" }, words),
      ),
    );
    const fit = () => {
      area.style.height = "auto";
      area.style.height = `${area.scrollHeight + 2}px`;
    };
    area.oninput = fit;
    area.onkeydown = (event) => this.editKey(event);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.saveEdited(area.value);
    };
    this.body.hidden = this.state.hidden = this.tools.hidden = true;
    this.element.append(this.form);
    fit();
    area.focus();
  }

  /** Answers have lines: there Enter breaks one, and Ctrl+Enter saves. */
  editKey(event) {
    const sends = this.turn.role === "user" ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && sends && !event.isComposing) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.endEditing();
    }
  }

  endEditing() {
    this.form.remove();
    this.form = null;
    this.update();
    this.editButton.focus();
  }

  saveEdited(words) {
    const isSame = words === this.turn.text && this.turn.role === "assistant";
    const isNothing = !words.trim() && !this.turn.pictures?.length;
    this.endEditing();
    if (!isSame && !isNothing) this.actions.edit(this.turn, words);
  }
}
