// Elements: how they are made, found and filled with words.
// SPDX-License-Identifier: MIT
import { icon } from "./icons.js";
import { text } from "./texts.js";

export const byId = (id) => document.getElementById(id);

/** make("p", {class: "x", onclick: f, hidden: true}, child, "text"): properties where there are, else attributes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that is an icon: its label is what is read out and shown above it. */
export function iconButton(name, label, onclick, more = {}) {
  return make(
    "button",
    { class: "icon", type: "button", ariaLabel: label, title: label, onclick, ...more },
    icon(name),
  );
}

/** Gives the words and icons of texts.js and icons.js to the elements that ask for them. */
export function fillWords(root) {
  for (const element of root.querySelectorAll("[data-icon]")) element.prepend(icon(element.dataset.icon));
  for (const element of root.querySelectorAll("[data-text]")) element.append(text(element.dataset.text));
  for (const element of root.querySelectorAll("[data-label]")) {
    const words = text(element.dataset.label);
    element.setAttribute("aria-label", words);
    if (element.tagName === "BUTTON") element.title = words;
  }
  for (const element of root.querySelectorAll("[data-hint]")) element.placeholder = text(element.dataset.hint);
}

/** Hands a file to the user. */
export function saveFile(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** To the clipboard; browsers have its interface for pages of this machine and over TLS alone. */
export async function copyText(words) {
  if (navigator.clipboard) return navigator.clipboard.writeText(words);
  const field = make("textarea", { class: "unseen", value: words });
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  focused?.focus();
}

/** A button that copies what `words()` gives, and says that it has. */
export function copyButton(label, words) {
  const button = iconButton("copy", label, async () => {
    await copyText(words());
    button.replaceChildren(icon("check"));
    say(text("copied"));
    setTimeout(() => button.replaceChildren(icon("copy")), 1500);
  });
  return button;
}

/** Has screen readers read it. The same words twice are news as well. */
export function say(words) {
  speak("said", words);
}

export function alarm(words) {
  speak("alarm", words);
}

function speak(id, words) {
  byId(id).textContent = "";
  setTimeout(() => {
    byId(id).textContent = words;
  }, 50);
}

/** An id that no other thing has. (crypto.randomUUID is there over TLS alone.) */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}
