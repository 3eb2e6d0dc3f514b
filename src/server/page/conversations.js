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

/** The list's object of a conversation, or the shown one, which may not be in it yet; undefined: it was removed. */
const known = (id) => (shown.id === id ? shown : list.find((conversation) => conversation.id === id));

/** One object of a conversation counts, and the shown one before others. */
function putIntoList(conversation) {
  list = [conversation, ...list.filter((other) => other.id !== conversation.id)];
  sort();
}

/** Which versions are looked at is each tab's own; the title and what is new are everybody's. */
async function readList() {
  list = await store.allConversations();
  const again = list.find((other) => other.id === shown.id);
  if (again) {
    Object.assign(again.chosen, shown.chosen);
    shown = again;
  } else if (turns.size > 0) list.push(shown); // it is just being kept
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
  emit("shown");
  emit("list");
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
  const found = await readTurns(id);
  const next = known(id);
  if (next) setShown(next, found);
}

// ---- a conversation's own ------------------------------------------------------------------------

async function keepConversation(id) {
  const conversation = known(id);
  if (!conversation) return;
  putIntoList(conversation);
  emit("list");
  await kept(store.putConversation(conversation));
  tell("changed", { conversation: id });
}

export async function rename(id, title) {
  const conversation = known(id);
  if (!conversation) return; // another tab has removed it
  conversation.title = title.trim().slice(0, LONGEST_TITLE);
  if (id === shown.id) emit("shown");
  await keepConversation(id);
}

export async function setSystem(system) {
  shown.system = system;
  if (turns.size > 0) await keepConversation(shown.id);
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

async function keepAdded(turn) {
  added.set(turn.id, turn);
  await kept(store.putTurn(turn));
  await keepConversation(turn.conversation);
  added.delete(turn.id);
}

/** A new turn of the shown conversation behind `parent`, shown in place of others that are there. */
export function addTurn(parent, role, words, pictures = [], state = "done") {
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
  turns.set(turn.id, turn);
  choose(turns, shown.chosen, turn);
  shown.changed = turn.created;
  if (!shown.title) shown.title = titleOf(words) || pictures[0]?.name || "";
  putIntoList(shown);
  keepAdded(turn);
  emit("shown");
  return turn;
}

export async function chooseVersion(turn) {
  choose(turns, shown.chosen, turn);
  emit("shown");
  await keepConversation(shown.id);
}

/** It has other words or another state. keep: not only on the page. */
export async function turnChanged(turn, keep) {
  emit("turn", turn);
  if (!keep || !known(turn.conversation)) return;
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

async function readTurnsAgain(id) {
  if (id !== shown.id) return;
  const found = await readTurns(id);
  if (id !== shown.id) return; // another one is shown by now
  turns = found;
  emit("shown");
}

async function readAgain(id) {
  await readList();
  await readTurnsAgain(id);
  emit("list");
}

onTold("changed", ({ conversation }) => readAgain(conversation));
onTold("turn", ({ conversation }) => readTurnsAgain(conversation));
onTold("removed", async ({ conversation }) => {
  list = list.filter((other) => other.id !== conversation);
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
    putIntoList(conversation);
    await keepConversation(conversation.id);
  }
  if (found.length > 0) await show(found[0].conversation.id);
}
