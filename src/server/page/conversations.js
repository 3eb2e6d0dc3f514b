// The conversations: which there are, which one is shown, and every change to one, which is kept and told here.
//
// Events: "list" (titles, order), "shown" (another conversation, or other turns of it), "turn" (detail: one turn's
// text or state), "removed" (detail: a conversation's id), "unkept" (detail: why the browser did not keep something).
//
// SPDX-License-Identifier: MIT
import { newId } from "./dom.js";
import { inTab } from "./kept.js";
import * as store from "./store.js";
import { onTold, tell } from "./tabs.js";
import { choose, pathOf, versionsOf } from "./tree.js";

const LONGEST_TITLE = 80;

export const conversations = new EventTarget();
let list = []; // newest first
let shown = fresh(); // one of the list, or a new one that is kept with its first message
let turns = new Map(); // of the shown one
// turns that this tab is adding, and those that it is writing: these objects count, not what the store has of them
const added = new Map();
const written = new Map();

function fresh() {
  const now = Date.now();
  return { id: newId(), title: "", created: now, changed: now, system: "", chosen: {} };
}

const emit = (name, detail) => conversations.dispatchEvent(new CustomEvent(name, { detail }));

function sort() {
  list.sort((a, b) => b.changed - a.changed);
}

async function kept(promise) {
  try {
    await promise;
  } catch (error) {
    emit("unkept", error?.message ?? String(error));
  }
}

export const all = () => list;
export const current = () => shown;
export const path = () => pathOf(turns, shown.chosen);
export const versions = (turn) => versionsOf(turns, turn);
export const parentOf = (turn) => turns.get(turn.parent) ?? null;

async function readList() {
  list = await store.allConversations();
  sort();
}

/** Shows what this tab has shown before, or a new one. */
export async function openConversations() {
  await readList();
  const before = inTab.get("shown");
  if (list.some((conversation) => conversation.id === before)) await show(before);
  else start();
}

function setShown(conversation, theirTurns) {
  shown = conversation;
  turns = theirTurns;
  inTab.set("shown", conversation.id);
  emit("list");
  emit("shown");
}

/** A new one, which is in the list from its first message on. */
export function start() {
  setShown(fresh(), new Map());
}

async function readTurns(id) {
  const found = await store.turnsOf(id);
  const own = [...added.values(), ...written.values()].filter((turn) => turn.conversation === id);
  return new Map([...found, ...own].map((turn) => [turn.id, turn]));
}

export async function show(id) {
  const next = list.find((conversation) => conversation.id === id);
  if (!next) return;
  setShown(next, await readTurns(id));
}

// ---- a conversation's own ------------------------------------------------------------------------

async function keepConversation(conversation) {
  if (!list.includes(conversation)) list.push(conversation);
  sort();
  await kept(store.putConversation(conversation));
  tell("changed", { conversation: conversation.id });
  emit("list");
}

export async function rename(conversation, title) {
  conversation.title = title.trim().slice(0, LONGEST_TITLE);
  await keepConversation(conversation);
  if (conversation === shown) emit("shown");
}

export async function setSystem(system) {
  shown.system = system;
  if (list.includes(shown)) await keepConversation(shown);
}

export async function remove(ids) {
  for (const id of ids) {
    await kept(store.deleteConversation(id));
    tell("removed", { conversation: id });
  }
  list = list.filter((conversation) => !ids.includes(conversation.id));
  ids.forEach((id) => emit("removed", id));
  if (ids.includes(shown.id)) start();
  else emit("list");
}

// ---- turns ---------------------------------------------------------------------------------------

function titleOf(words) {
  const line = words.trim().split(/\n/)[0].replace(/\s+/g, " ");
  return line.length > LONGEST_TITLE ? `${line.slice(0, LONGEST_TITLE - 1)}…` : line;
}

/** A new turn behind `parent`, shown in place of others that are there. */
export async function addTurn(parent, role, words, pictures = [], state = "done") {
  const turn = {
    id: newId(),
    conversation: shown.id,
    parent: parent?.id ?? null,
    role,
    text: words,
    pictures,
    state,
    error: "",
    figures: null,
    created: Date.now(),
  };
  const conversation = shown;
  turns.set(turn.id, turn);
  choose(turns, conversation.chosen, turn);
  conversation.changed = turn.created;
  if (!conversation.title) conversation.title = titleOf(words) || pictures[0]?.name || "";
  added.set(turn.id, turn);
  emit("shown");
  await kept(store.putTurn(turn));
  await keepConversation(conversation);
  added.delete(turn.id);
  return turn;
}

export async function chooseVersion(turn) {
  choose(turns, shown.chosen, turn);
  emit("shown");
  await keepConversation(shown);
}

/** It has other words or another state. keep: not only on the page. */
export async function turnChanged(turn, keep) {
  emit("turn", turn);
  if (!keep || !list.some((conversation) => conversation.id === turn.conversation)) return; // it was removed
  await kept(store.putTurn(turn));
  tell("turn", { conversation: turn.conversation });
}

/** This tab writes the turn from now on, or does no more. */
export function setWritten(turn, isWritten) {
  if (isWritten) written.set(turn.id, turn);
  else written.delete(turn.id);
  emit("list");
}

export const isWrittenHere = (turn) => written.has(turn.id);
export const isBusy = (id) => [...written.values()].some((turn) => turn.conversation === id);

/** The shown conversation up to a turn. */
export function linesBefore(turn) {
  const lines = [];
  for (let at = parentOf(turn); at; at = parentOf(at)) lines.unshift(at);
  return lines;
}

// ---- what other tabs do --------------------------------------------------------------------------

async function readAgain(conversation) {
  await readList();
  const again = list.find((other) => other.id === shown.id);
  if (again) {
    // its title and what is new; which versions are looked at is each tab's own
    Object.assign(again.chosen, shown.chosen);
    shown = again;
  }
  if (conversation === shown.id) {
    turns = await readTurns(shown.id);
    emit("shown");
  }
  emit("list");
}

async function readTurnsAgain(conversation) {
  if (conversation !== shown.id) return;
  turns = await readTurns(shown.id);
  emit("shown");
}

onTold("changed", ({ conversation }) => readAgain(conversation));
onTold("turn", ({ conversation }) => readTurnsAgain(conversation));
onTold("removed", async ({ conversation }) => {
  await readList();
  emit("removed", conversation);
  if (shown.id === conversation) start();
  else emit("list");
});
onTold("who-writes", ({ turn }) => {
  if (written.has(turn)) tell("writing", { turn });
});

/** Takes conversations from elsewhere, as transfer.js has read them. */
export async function take(found) {
  for (const { conversation, turns: theirs } of found) {
    for (const turn of theirs) await kept(store.putTurn(turn));
    await keepConversation(conversation);
  }
  if (found.length > 0) await show(found[0].conversation.id);
}
