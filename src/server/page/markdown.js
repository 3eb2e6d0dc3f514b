// An answer's Markdown on the page, also while it is being written.
//
// marked makes blocks of the text, DOMPurify lets through what text needs, and the browser's Content-Security-Policy
// stands behind both. A block that is as it was stays the element it was, so that nothing jumps, and what the reader
// has selected stays so. HTML in the text is shown as the text that it is, but for a few harmless marks.
//
// SPDX-License-Identifier: MIT
/* global marked, DOMPurify */
import { copyButton, make } from "./dom.js";
import { text } from "./texts.js";

const MARKS = /^<\/?(?:br|sub|sup|kbd|mark|ins|del|b|i|u|s|em|strong|small) *\/?>$/i;
const TAGS = [
  "a",
  "b",
  "blockquote",
  "br",
  "code",
  "del",
  "em",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "hr",
  "i",
  "img",
  "ins",
  "input",
  "kbd",
  "li",
  "mark",
  "ol",
  "p",
  "pre",
  "s",
  "small",
  "strong",
  "sub",
  "sup",
  "table",
  "tbody",
  "td",
  "th",
  "thead",
  "tr",
  "u",
  "ul",
];
const ATTRIBUTES = ["align", "alt", "checked", "class", "disabled", "href", "src", "start", "title", "type"];
const LINKS = /^(?:https?|mailto):/i;
const MOST_CHARACTERS = 400000; // of a text that is read as Markdown

function escaped(words) {
  return words.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

/** Blocks with their tokens. mangle and headerIds: what older versions would do by themselves. */
function blocksOf(source) {
  marked.setOptions({ gfm: true, mangle: false, headerIds: false });
  const tokens = marked.lexer(source);
  marked.walkTokens(tokens, (token) => {
    if (token.type === "html" && !MARKS.test(token.raw.trim())) token.text = escaped(token.raw);
  });
  return tokens.filter((token) => token.type !== "space" && token.type !== "def");
}

// ---- what becomes of a block ------------------------------------------------------------------

/** A turn has a heading of the second level; those in its text are below it, and look as they were meant. */
function lowerHeadings(root) {
  for (const heading of root.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const level = Number(heading.tagName[1]);
    heading.replaceWith(make(`h${Math.min(6, level + 2)}`, { class: `level-${level}` }, ...heading.childNodes));
  }
}

/** Nothing is loaded from elsewhere: a picture that the text names is a link to it. */
function replaceImages(root) {
  for (const image of root.querySelectorAll("img")) {
    const url = image.getAttribute("src") ?? "";
    const words = image.getAttribute("alt") || url;
    image.replaceWith(LINKS.test(url) ? make("a", { href: url }, words) : words);
  }
}

function guardLinks(root) {
  for (const link of root.querySelectorAll("a")) {
    if (LINKS.test(link.getAttribute("href") ?? ""))
      Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
    else link.removeAttribute("href");
  }
}

/** What is wider than the column is moved sideways within itself. */
function wrapTables(root) {
  for (const table of root.querySelectorAll("table")) {
    const frame = make("div", { class: "table", role: "region", ariaLabel: text("table"), tabIndex: 0 });
    table.replaceWith(frame);
    frame.append(table);
  }
}

function labelBoxes(root) {
  for (const box of root.querySelectorAll("input")) {
    if (box.type === "checkbox") box.setAttribute("aria-label", box.parentElement.textContent.trim() || "-");
    else box.remove();
  }
}

function wrapCode(root) {
  for (const pre of root.querySelectorAll("pre")) {
    const language = /language-(\S+)/.exec(pre.firstElementChild?.className ?? "")?.[1] ?? "";
    pre.replaceWith(codeFrame(language, pre.textContent));
  }
}

function codeFrame(language, words) {
  const code = make("code", {}, words);
  return make(
    "div",
    { class: "code" },
    make(
      "div",
      { class: "code-head" },
      make("span", {}, language || text("code")),
      copyButton(text("copyCode"), () => code.textContent),
    ),
    make("pre", { tabIndex: 0, role: "region", ariaLabel: language || text("code") }, code),
  );
}

function cleaned(html) {
  const root = DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const change of [lowerHeadings, replaceImages, guardLinks, wrapTables, labelBoxes, wrapCode]) change(root);
  return root;
}

/** Its element. */
function drawn(token) {
  if (token.type === "code") return codeFrame(token.lang ?? "", token.text);
  if (token.type === "html" && !MARKS.test(token.raw.trim()))
    return make("p", { class: "as-written" }, token.raw.trim());
  return make("div", {}, cleaned(marked.parser([token])));
}

/** Changes a code block that grows, in place: true if that was all. */
function grown(element, before, token) {
  if (before.type !== "code" || token.type !== "code" || before.lang !== token.lang) return false;
  element.querySelector("code").textContent = token.text;
  return true;
}

// ---- a text ------------------------------------------------------------------------------------

/** Shows a text that grows in an element. */
export class MarkdownView {
  constructor(element) {
    this.element = element;
    this.tokens = [];
    this.source = "";
  }

  update(source) {
    if (source === this.source) return;
    this.source = source;
    let tokens;
    try {
      tokens = source.length > MOST_CHARACTERS ? null : blocksOf(source);
    } catch {
      tokens = null; // a text that is no Markdown to the library is still a text
    }
    if (!tokens) tokens = [{ type: "html", raw: source }];
    const elements = [...this.element.children];
    tokens.forEach((token, i) => {
      const before = this.tokens[i];
      if (before && before.type === token.type && before.raw === token.raw) return;
      if (before && grown(elements[i], before, token)) return;
      const element = drawn(token);
      if (elements[i]) elements[i].replaceWith(element);
      else this.element.append(element);
    });
    elements.slice(tokens.length).forEach((element) => element.remove());
    this.tokens = tokens;
  }
}
