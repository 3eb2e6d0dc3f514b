// Server-sent events over fetch: what an answer's body says, one object after the other.
// SPDX-License-Identifier: MIT

import { text } from "./texts.js";

/** The body ended, or broke, before the server had said that it is done. */
export class LostError extends Error {}

/** The data of each event; comments and other fields are passed over. */
async function* dataOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      if (line !== "" || data.length === 0) continue;
      yield data.join("\n");
      data = [];
    }
  }
}

/** The parsed events of a response up to [DONE]. */
export async function* eventsOf(response) {
  try {
    for await (const data of dataOf(response.body)) {
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (error instanceof SyntaxError) throw new Error(text("errorGarbled"));
    throw new LostError(error.message);
  }
  throw new LostError("the stream ends in the middle");
}
