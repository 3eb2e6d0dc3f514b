// The turns of the shown conversation, and what the user does with them.  SPDX-License-Identifier: MIT
import { answer, stop, watchOthers } from "./answers.js";
import * as conversations from "./conversations.js";
import { alarm, byId, say } from "./dom.js";
import { text } from "./texts.js";
import { toEnd } from "./view_scroll.js";
import { TurnView } from "./view_turn.js";

const LONGEST_SAID = 2000; // characters of an answer that are read out by themselves

const views = new Map(); // by turn id
let shownId = null;

// ---- what the user wants -------------------------------------------------------------------------

async function answered(turn) {
  say(text("saidAnswering"));
  await answer(turn);
  if (turn.conversation !== conversations.current().id) return; // the reader is elsewhere
  if (turn.state === "broken") alarm(turn.error);
  else if (turn.state === "stopped") say(text("saidStopped"));
  else say(text("saidAnswer", { text: turn.text.slice(0, LONGEST_SAID) }));
}

/** Everything up to the first wait is done at once, in the conversation that is shown. */
function answerBehind(turn) {
  const written = conversations.addTurn(turn, "assistant", "", [], "running");
  answered(written);
  toEnd();
}

export function send(words, pictures) {
  const last = conversations.path().at(-1) ?? null;
  answerBehind(conversations.addTurn(last, "user", words, pictures));
}

const actions = {
  edit(turn, words) {
    const next = conversations.addTurn(conversations.parentOf(turn), turn.role, words, turn.pictures);
    byId("message").focus();
    if (turn.role === "user") answerBehind(next);
  },
  regenerate(turn) {
    byId("message").focus();
    answerBehind(conversations.parentOf(turn));
  },
  goOn(turn) {
    byId("message").focus();
    answered(turn);
  },
  shown(turn, which) {
    views.get(turn.id)?.focus(which);
  },
};

const runningTurn = () => conversations.path().find((turn) => conversations.isWrittenHere(turn));

export const isAnswering = () => Boolean(runningTurn());

export function stopAnswer() {
  const turn = runningTurn();
  if (turn) stop(turn);
  return Boolean(turn);
}

export function editLast() {
  const last = conversations.path().findLast((turn) => turn.role === "user");
  if (last) views.get(last.id).edit();
}

// ---- showing -------------------------------------------------------------------------------------

/** Views that stay keep their elements, and with them focus and selection. */
function show() {
  const path = conversations.path();
  const ids = new Set(path.map((turn) => turn.id));
  for (const [id, view] of views) {
    if (ids.has(id)) continue;
    view.element.remove();
    views.delete(id);
  }
  path.forEach((turn, i) => {
    let view = views.get(turn.id);
    if (!view) views.set(turn.id, (view = new TurnView(turn, actions)));
    view.turn = turn;
    view.update();
    const at = byId("turns").children[i];
    if (at !== view.element) byId("turns").insertBefore(view.element, at ?? null);
  });
  byId("welcome").hidden = path.length > 0;
  watchOthers();
  if (shownId === conversations.current().id) return;
  shownId = conversations.current().id;
  toEnd();
}

/** Words come faster than pictures of the screen. */
const waiting = new Set();

function update(turn) {
  if (waiting.size === 0) {
    requestAnimationFrame(() => {
      for (const id of waiting) views.get(id)?.update();
      waiting.clear();
    });
  }
  waiting.add(turn.id);
}

export function showTurns() {
  conversations.conversations.addEventListener("shown", show);
  conversations.conversations.addEventListener("turn", ({ detail }) => update(detail));
  conversations.conversations.addEventListener("list", () => views.forEach((view) => view.update())); // busy or not
}
