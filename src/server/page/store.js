// Where conversations are kept: the browser's IndexedDB, or memory where a browser has none.
//
// Two tables: `conversations` {id, title, created, changed, system, chosen}, and `turns`, each of which is a record
// of its own, so that two tabs which write into one conversation take nothing from each other.
//
//   turn {id, conversation, parent, role: "user" | "assistant", text, pictures, state, error, figures, created}
//   state: "done", "running", "stopped", "cut" (by its greatest length), "broken" (told by `error`)
//   pictures: [{id, name, type, width, height, blob}]
//
// SPDX-License-Identifier: MIT
const NAME = "peridot";
const VERSION = 1;

let database = null;
const memory = { conversations: new Map(), turns: new Map() };

function promised(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

/** Rejects where the browser keeps nothing; everything works in memory then. */
export async function openStore() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("conversations", { keyPath: "id" });
    request.result.createObjectStore("turns", { keyPath: "id" }).createIndex("conversation", "conversation");
  };
  database = await promised(request);
  database.onversionchange = () => database.close(); // a later page in another tab wants another form
}

/** Resolves when it is on disk. */
function write(tables, change) {
  return new Promise((done, failed) => {
    const transaction = database.transaction(tables, "readwrite");
    transaction.oncomplete = () => done();
    transaction.onerror = transaction.onabort = () => failed(transaction.error);
    change(transaction);
  });
}

export async function allConversations() {
  if (!database) return [...memory.conversations.values()];
  return promised(database.transaction("conversations").objectStore("conversations").getAll());
}

export async function turnsOf(conversation) {
  if (!database) return [...memory.turns.values()].filter((turn) => turn.conversation === conversation);
  return promised(database.transaction("turns").objectStore("turns").index("conversation").getAll(conversation));
}

async function put(table, record) {
  if (!database) memory[table].set(record.id, structuredClone(record));
  else await write([table], (transaction) => transaction.objectStore(table).put(record));
}

export const putConversation = (conversation) => put("conversations", conversation);
export const putTurn = (turn) => put("turns", turn);

export async function deleteConversation(id) {
  const ids = (await turnsOf(id)).map((turn) => turn.id);
  if (!database) {
    memory.conversations.delete(id);
    ids.forEach((turn) => memory.turns.delete(turn));
    return;
  }
  await write(["conversations", "turns"], (transaction) => {
    transaction.objectStore("conversations").delete(id);
    ids.forEach((turn) => transaction.objectStore("turns").delete(turn));
  });
}

/** The ids of conversations with a turn whose text has these words, in any case. */
export async function findInTurns(words) {
  const found = new Set();
  const look = (turn) => {
    if (turn.text.toLowerCase().includes(words)) found.add(turn.conversation);
  };
  if (!database) {
    memory.turns.forEach(look);
    return found;
  }
  const request = database.transaction("turns").objectStore("turns").openCursor();
  return new Promise((done, failed) => {
    request.onerror = () => failed(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) return done(found);
      look(cursor.value);
      return cursor.continue();
    };
  });
}
