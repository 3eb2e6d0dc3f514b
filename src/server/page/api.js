// Asks the server, with the key, and makes a sentence of whatever goes wrong.
// SPDX-License-Identifier: MIT
import { apiKey } from "./settings.js";
import { text } from "./texts.js";

/** What the server refused. status 0: it was not reached. */
export class ApiError extends Error {
  constructor(status, message, code = null) {
    super(message);
    this.status = status;
    this.code = code; // the server's word for it
  }
}

let askForKey = async () => false;

/** `asker()` asks the user for a key, and says whether there is a new one to try. */
export function onKeyNeeded(asker) {
  let asking = null; // one question, however many requests want its answer
  askForKey = () => {
    asking ??= asker().finally(() => {
      asking = null;
    });
    return asking;
  };
}

function sentence(words) {
  const trimmed = words.trim();
  const end = /[.!?:]$/.test(trimmed) ? "" : ".";
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + end;
}

/** What is to be told of an error: the server's words, and what could be done. */
export function errorWords(status, message) {
  if (status === 413) return text("errorSize");
  const hint = { 401: text("hint401"), 429: text("hint429"), 503: text("hint503") }[status];
  return [sentence(message || text("errorStatus", { status })), hint].filter(Boolean).join(" ");
}

async function errorOf(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // not the server's own words, such as a proxy's page
  }
  return new ApiError(response.status, errorWords(response.status, String(error.message ?? "")), error.code);
}

async function send(path, { body, signal }) {
  const headers = {};
  const key = apiKey();
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, text("errorNetwork"));
  }
}

/** The response to it, which is a good one; the user is asked for a key as often as one is refused. */
export async function ask(path, options = {}) {
  for (;;) {
    const before = apiKey();
    const response = await send(path, options);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (response.status !== 401) throw error;
    if (apiKey() === before && !(await askForKey())) throw error; // else another one has asked meanwhile
  }
}
