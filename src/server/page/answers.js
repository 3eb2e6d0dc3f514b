// The life of an answer: asked for, written while it comes, stopped, and gone on with when the connection was lost.
//
// An answer that breaks off is not begun anew: the server goes on in a conversation that ends with an assistant's
// message, which is what there is of it.
//
// SPDX-License-Identifier: MIT
import { ApiError, ask, errorWords } from "./api.js";
import * as conversations from "./conversations.js";
import { dataUrlOf } from "./pictures.js";
import { connect, server } from "./server.js";
import { sampling } from "./settings.js";
import { LostError, eventsOf } from "./stream.js";
import { isWrittenElsewhere } from "./tabs.js";

const KEEP_EVERY_MS = 1000;
const PAUSE_MS = 500; // before a lost server is asked again
const WATCH_EVERY_MS = 2000;

const stops = new Map(); // by turn id: {turn, stopper}, which ends its request

// ---- what is sent --------------------------------------------------------------------------------

async function contentOf(turn) {
  if (!turn.pictures?.length) return turn.text;
  const urls = await Promise.all(turn.pictures.map(({ blob }) => dataUrlOf(blob)));
  const parts = urls.map((url) => ({ type: "image_url", image_url: { url } }));
  return turn.text ? [...parts, { type: "text", text: turn.text }] : parts;
}

/** Turns without a word (an answer that was stopped at once) are not said. */
async function messagesOf(system, lines) {
  const messages = system.trim() ? [{ role: "system", content: system }] : [];
  for (const line of lines)
    if (line.text || line.pictures?.length) messages.push({ role: line.role, content: await contentOf(line) });
  return messages;
}

function bodyOf(messages) {
  return { messages, ...sampling(), stream: true, stream_options: { include_usage: true }, timings_per_token: true };
}

// ---- what comes ----------------------------------------------------------------------------------

function figuresOf(timings) {
  return {
    tokens: timings.predicted_n,
    speed: timings.predicted_per_second,
    context: timings.cache_n + timings.prompt_n + timings.predicted_n,
  };
}

function take(turn, event) {
  if (event.error) {
    const status = event.error.type === "unavailable_error" ? 503 : 500;
    throw new ApiError(status, errorWords(status, event.error.message), event.error.code);
  }
  const choice = event.choices?.[0];
  turn.text += choice?.delta?.content ?? "";
  if (event.timings) turn.figures = figuresOf(event.timings);
  if (choice?.finish_reason) turn.state = choice.finish_reason === "length" ? "cut" : "running";
}

async function read(turn, response) {
  let keptAt = Date.now();
  turn.reconnects = false;
  for await (const event of eventsOf(response)) {
    take(turn, event);
    const keep = Date.now() - keptAt > KEEP_EVERY_MS;
    if (keep) keptAt = Date.now();
    conversations.turnChanged(turn, keep);
  }
  if (turn.state === "running") turn.state = "done";
}

/** The server will be back, or answer another time: but for one that has too much to do, as the user should know. */
function isLost(error) {
  if (error instanceof LostError) return true;
  return error instanceof ApiError && (error.status === 0 || (error.status === 503 && error.code !== "busy"));
}

function aborted(signal) {
  return new Promise((done, failed) => {
    signal.addEventListener("abort", () => failed(signal.reason), { once: true });
  });
}

const pause = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });

/** Until the server is back; the turn says meanwhile what is waited for. */
async function waitForServer(turn, signal) {
  turn.text = turn.text.trimEnd(); // as the template has it
  turn.reconnects = true;
  conversations.turnChanged(turn, true);
  await Promise.race([pause(PAUSE_MS).then(connect), aborted(signal)]);
  if (server.state !== "ready") throw new ApiError(401, server.message);
}

async function write(turn, system, signal) {
  const lines = conversations.linesBefore(turn);
  for (;;) {
    try {
      const body = bodyOf(await messagesOf(system, [...lines, turn]));
      await read(turn, await ask("/v1/chat/completions", { body, signal }));
      return;
    } catch (error) {
      if (signal.aborted || !isLost(error)) throw error;
      await waitForServer(turn, signal);
    }
  }
}

// ---- for others ----------------------------------------------------------------------------------

/** Writes into the turn until its answer is whole, stopped or broken; never rejects. */
export async function answer(turn) {
  const stopper = new AbortController();
  const { system } = conversations.current();
  Object.assign(turn, { state: "running", error: "", reconnects: false, text: turn.text.trimEnd() });
  stops.set(turn.id, { turn, stopper });
  conversations.setWritten(turn, true);
  conversations.turnChanged(turn, true);
  try {
    await write(turn, system, stopper.signal);
  } catch (error) {
    turn.state = stopper.signal.aborted ? "stopped" : "broken";
    turn.error = stopper.signal.aborted ? "" : error.message;
  }
  turn.reconnects = false;
  stops.delete(turn.id);
  await conversations.turnChanged(turn, true); // before other tabs hear that nobody writes it
  conversations.setWritten(turn, false);
}

export function stop(turn) {
  stops.get(turn.id)?.stopper.abort();
}

conversations.conversations.addEventListener("removed", ({ detail }) => {
  for (const { turn, stopper } of stops.values()) if (turn.conversation === detail) stopper.abort();
});

const othersTurn = () =>
  conversations.path().find((turn) => turn.state === "running" && !conversations.isWrittenHere(turn));

let watches = false;

/** Looks after shown answers of other tabs: one whose page was closed is told as interrupted. */
export async function watchOthers() {
  if (watches) return;
  watches = true;
  for (let turn = othersTurn(); turn; turn = othersTurn()) {
    const isWritten = await isWrittenElsewhere(turn.id);
    const now = othersTurn(); // what it is by now
    if (isWritten) await pause(WATCH_EVERY_MS);
    else if (now?.id === turn.id) {
      now.state = "broken";
      await conversations.turnChanged(now, true);
    }
  }
  watches = false;
}
