// Conversations as JSON, to take them elsewhere and back. What comes from a file is believed in nothing: only fields
// of the right kind are taken, and all ids are new.
// SPDX-License-Identifier: MIT
import { newId, saveFile } from "./dom.js";
import { dataUrlOf } from "./pictures.js";
import * as store from "./store.js";
import { text as wordsFor } from "./texts.js";
import { renamed } from "./tree.js";

const FORMAT = "peridot-conversations";
const VERSION = 1;
const PICTURES = /^data:(image\/(?:png|jpeg|webp));base64,([A-Za-z0-9+/]*={0,2})$/;
const STATES = ["done", "stopped", "cut", "broken"];

// ---- out -----------------------------------------------------------------------------------------

async function pictureOut({ name, width, height, blob }) {
  return { name, width, height, data: await dataUrlOf(blob) };
}

async function turnOut({ id, parent, role, text, pictures, state, error, figures, created }) {
  return {
    id,
    parent,
    role,
    text,
    pictures: await Promise.all(pictures.map(pictureOut)),
    state,
    error,
    figures,
    created,
  };
}

async function conversationOut({ id, title, created, changed, system, chosen }) {
  return {
    title,
    created,
    changed,
    system,
    chosen,
    turns: await Promise.all((await store.turnsOf(id)).map(turnOut)),
  };
}

function fileName(conversations) {
  const words = conversations.length === 1 ? conversations[0].title : "conversations";
  const plain = words
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40);
  return `peridot-${plain || "conversation"}.json`;
}

export async function exportConversations(conversations) {
  const found = [];
  for (const conversation of conversations) found.push(await conversationOut(conversation));
  saveFile(
    fileName(conversations),
    "application/json",
    JSON.stringify({ format: FORMAT, version: VERSION, conversations: found }, null, 1),
  );
}

// ---- in ------------------------------------------------------------------------------------------

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const words = (value) => (typeof value === "string" ? value : "");
const number = (value) => (Number.isFinite(value) ? value : 0);
const list = (value) => (Array.isArray(value) ? value.filter(isObject) : []);

function pictureIn({ name, width, height, data }) {
  const [, type, base64] = PICTURES.exec(words(data)) ?? [];
  if (!type) throw new Error(wordsFor("importDamaged"));
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return {
    id: newId(),
    name: words(name),
    type,
    width: number(width),
    height: number(height),
    blob: new Blob([bytes], { type }),
  };
}

function figuresIn(value) {
  if (!isObject(value)) return null;
  return { tokens: number(value.tokens), speed: number(value.speed), context: number(value.context) };
}

function turnIn(conversation, turn) {
  if (typeof turn.id !== "string" || !["user", "assistant"].includes(turn.role))
    throw new Error(wordsFor("importDamaged"));
  return {
    id: turn.id,
    conversation,
    parent: typeof turn.parent === "string" ? turn.parent : null,
    role: turn.role,
    text: words(turn.text),
    pictures: list(turn.pictures).map(pictureIn),
    state: STATES.includes(turn.state) ? turn.state : "done",
    error: words(turn.error),
    figures: figuresIn(turn.figures),
    created: number(turn.created),
  };
}

function conversationIn(found) {
  const id = newId();
  const chosen = isObject(found.chosen) ? found.chosen : {};
  const tree = renamed(
    list(found.turns).map((turn) => turnIn(id, turn)),
    chosen,
    newId,
  );
  const conversation = {
    id,
    title: words(found.title).slice(0, 80),
    created: number(found.created),
    changed: number(found.changed),
    system: words(found.system),
    chosen: tree.chosen,
  };
  return { conversation, turns: tree.turns };
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** [{conversation, turns}] of a file. Error: why not. */
export async function readConversations(file) {
  const found = parsed(await file.text());
  if (!isObject(found) || found.format !== FORMAT) throw new Error(wordsFor("importOther"));
  if (found.version !== VERSION) throw new Error(wordsFor("importLater"));
  return list(found.conversations).map(conversationIn);
}
