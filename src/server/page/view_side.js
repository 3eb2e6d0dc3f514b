// The list of conversations: search, show, rename, export and delete; a drawer where there is no room beside.
// SPDX-License-Identifier: MIT
import * as conversations from "./conversations.js";
import { button, confirmed, field, openDialog } from "./dialogs.js";
import { byId, iconButton, make, say } from "./dom.js";
import { findInTurns } from "./store.js";
import { text } from "./texts.js";
import { exportConversations } from "./transfer.js";

const SEARCH_WAIT_MS = 150;
const narrow = matchMedia("(max-width: 799px)");
const titleOf = (conversation) => conversation.title || text("untitled");

// ---- the drawer ----------------------------------------------------------------------------------

function setDrawer(isOpen) {
  document.body.classList.toggle("drawer", isOpen);
  byId("shade").hidden = !isOpen;
  byId("side-open").setAttribute("aria-expanded", String(isOpen));
  byId("main").inert = isOpen;
  byId("side").inert = narrow.matches && !isOpen;
}

export const isDrawerOpen = () => document.body.classList.contains("drawer");

export function openDrawer() {
  if (!narrow.matches) return;
  setDrawer(true);
  byId("side-close").focus();
}

export function closeDrawer() {
  const wasOpen = isDrawerOpen();
  setDrawer(false);
  if (wasOpen) byId("side-open").focus();
}

// ---- one conversation ----------------------------------------------------------------------------

async function removeSurely(conversation) {
  const sure = await confirmed(text("remove"), text("removeText", { title: titleOf(conversation) }));
  if (!sure) return;
  await conversations.remove([conversation.id]);
  say(text("saidDeleted"));
  if (!narrow.matches) byId("message").focus();
}

function openAbout(conversation) {
  const name = make("input", { type: "text", value: conversation.title, maxLength: 80 });
  const form = make(
    "form",
    { class: "rename" },
    field(text("name"), name),
    make("button", { type: "submit", class: "primary" }, text("rename")),
  );
  const dialog = openDialog(
    text("conversationTitle"),
    [
      form,
      make(
        "div",
        { class: "dialog-buttons" },
        button(text("exportOne"), () => exportConversations([conversation])),
        button(
          text("remove"),
          () => {
            dialog.close("");
            removeSurely(conversation);
          },
          "danger",
        ),
      ),
    ],
    { kind: "small" },
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    conversations.rename(conversation.id, name.value);
    dialog.close("");
  };
  name.select();
}

async function pick(id) {
  await conversations.show(id);
  if (!narrow.matches) return;
  closeDrawer();
}

function row(conversation) {
  const title = titleOf(conversation);
  const isShown = conversation.id === conversations.current().id;
  const isBusy = conversations.isBusy(conversation.id);
  const main = make(
    "button",
    { class: "row-main", type: "button", title, onclick: () => pick(conversation.id) },
    make("span", {}, title),
  );
  if (isShown) main.setAttribute("aria-current", "true");
  if (isBusy) main.ariaLabel = text("running", { title });
  main.dataset.id = conversation.id;
  return make(
    "li",
    { class: `row${isShown ? " shown" : ""}${isBusy ? " busy" : ""}` },
    main,
    iconButton("more", text("more", { title }), () => openAbout(conversation)),
  );
}

// ---- the list ------------------------------------------------------------------------------------

let found = null; // ids, of a search

function show() {
  const query = byId("search").value.trim().toLowerCase();
  const list = conversations
    .all()
    .filter(
      (conversation) => !query || found?.has(conversation.id) || titleOf(conversation).toLowerCase().includes(query),
    );
  const focused = byId("list").contains(document.activeElement) ? document.activeElement.dataset.id : null;
  byId("list").replaceChildren(...list.map(row));
  byId("list").hidden = list.length === 0;
  byId("list-empty").hidden = list.length > 0;
  byId("list-empty").textContent = text(query ? "nothingFound" : "noConversations");
  if (focused) byId("list").querySelector(`[data-id="${focused}"]`)?.focus();
}

let timer = 0;

function search() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const query = byId("search").value.trim().toLowerCase();
    found = query ? await findInTurns(query) : null;
    show();
  }, SEARCH_WAIT_MS);
}

/** Up and down go through the rows. */
function key(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const rows = [...byId("list").querySelectorAll(".row-main")];
  const next = rows[rows.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

export function focusSearch() {
  openDrawer();
  byId("search").focus();
  byId("search").select();
}

export function startNew() {
  conversations.start();
  closeDrawer();
  byId("message").focus();
}

export function startSide() {
  conversations.conversations.addEventListener("list", show);
  byId("new").onclick = startNew;
  byId("search").oninput = search;
  byId("list").onkeydown = key;
  byId("side-open").onclick = openDrawer;
  byId("side-close").onclick = closeDrawer;
  byId("shade").onclick = closeDrawer;
  narrow.addEventListener("change", () => setDrawer(false));
  setDrawer(false);
}
