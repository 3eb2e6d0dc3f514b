// The dialog of settings.  SPDX-License-Identifier: MIT
import * as conversations from "./conversations.js";
import { button, checkbox, confirmed, field, openDialog } from "./dialogs.js";
import { alarm, byId, make, say } from "./dom.js";
import { connect, server } from "./server.js";
import { SAMPLING, keepsKey, resetSampling, sampling, setApiKey, setSampling, setTheme, theme } from "./settings.js";
import { text } from "./texts.js";
import { exportConversations, readConversations } from "./transfer.js";
import { keyInput } from "./view_key.js";

const KEYS = [
  ["Enter", "keySend"],
  ["Shift+Enter", "keyBreak"],
  ["Escape", "keyStop"],
  ["Alt+N", "keyNew"],
  ["Ctrl+K", "keySearch"],
  ["Alt+S", "keySettings"],
  ["↑", "keyEditLast"],
  ["↑ ↓", "keyList"],
];

function group(title, ...content) {
  return make("fieldset", {}, make("legend", {}, text(title)), ...content);
}

function systemGroup() {
  const area = make("textarea", { rows: 3, value: conversations.current().system });
  area.onchange = () => conversations.setSystem(area.value);
  return group("groupConversation", field(text("system"), area, text("systemHelp")));
}

// ---- sampling ------------------------------------------------------------------------------------

const byDefault = ({ name, value }) => server.defaults[name] ?? value;
/** A server's 0.95 was a float. */
const plain = (number) => (number === null ? "" : String(Math.round(number * 1e6) / 1e6));

function samplingInput(setting) {
  const { name, min, max, step } = setting;
  const input = make("input", {
    type: "number",
    min: String(min),
    max: String(max),
    step: String(step),
    inputMode: "decimal",
  });
  const show = () => {
    input.value = plain(sampling()[name] ?? byDefault(setting));
  };
  input.name = name;
  input.onchange = () => {
    const number = step === 1 ? Math.round(input.valueAsNumber) : input.valueAsNumber;
    const isDefault = Number.isNaN(number) || plain(number) === plain(byDefault(setting));
    setSampling(name, isDefault ? null : Math.min(max, Math.max(min, number)));
    show();
  };
  show();
  return { row: field(text(name), input, text(`${name}Help`)), show };
}

function samplingGroup() {
  const inputs = SAMPLING.map(samplingInput);
  return group(
    "groupSampling",
    make("div", { class: "fields" }, ...inputs.map(({ row }) => row)),
    button(text("samplingReset"), () => {
      resetSampling();
      inputs.forEach(({ show }) => show());
    }),
  );
}

// ---- colours, key ----------------------------------------------------------------------------------

function themeGroup() {
  const choices = [
    ["system", "themeSystem"],
    ["light", "themeLight"],
    ["dark", "themeDark"],
  ].map(([name, label]) => {
    const input = make("input", {
      type: "radio",
      name: "theme",
      value: name,
      checked: theme() === name,
      id: `theme-${name}`,
    });
    input.onchange = () => setTheme(name);
    return make("div", { class: "check" }, input, make("label", { htmlFor: input.id }, text(label)));
  });
  return group("groupLook", make("div", { class: "choices" }, ...choices));
}

function keyGroup() {
  const input = keyInput();
  const { box, row } = checkbox(text("keyKeep"), keepsKey());
  const change = () => {
    setApiKey(input.value.trim(), box.checked);
    connect();
  };
  input.onchange = box.onchange = change;
  return group("groupKey", field(text("key"), input, text("keyHelp")), row);
}

// ---- conversations ---------------------------------------------------------------------------------

async function importFile(file, errorLine) {
  try {
    const found = await readConversations(file);
    await conversations.take(found);
    say(found.length === 1 ? text("saidImportedOne") : text("saidImported", { n: found.length }));
    return true;
  } catch (error) {
    errorLine.textContent = text("errorImport", { why: error.message });
    alarm(errorLine.textContent);
    return false;
  }
}

function dataGroup(close) {
  const errorLine = make("p", { class: "error" });
  const input = make("input", { type: "file", accept: "application/json,.json", hidden: true, class: "import" });
  input.onchange = async () => {
    if (await importFile(input.files[0], errorLine)) close();
  };
  const removeAll = async () => {
    const list = conversations.all();
    if (list.length === 0 || !(await confirmed(text("removeAll"), text("removeAllText", { n: list.length })))) return;
    await conversations.remove(list.map((conversation) => conversation.id));
    say(text("saidDeleted"));
  };
  return group(
    "groupData",
    make(
      "div",
      { class: "buttons" },
      button(text("exportAll"), () => exportConversations(conversations.all())),
      button(text("importAll"), () => input.click()),
      button(text("removeAll"), removeAll, "danger"),
    ),
    input,
    errorLine,
  );
}

function keysGroup() {
  const rows = KEYS.map(([keys, words]) =>
    make("div", {}, make("dt", {}, make("kbd", {}, keys)), make("dd", {}, text(words))),
  );
  return group("groupKeys", make("dl", { class: "keys" }, ...rows));
}

export function openSettings() {
  if (document.querySelector("dialog[open]")) return;
  const dialog = openDialog(
    text("settingsTitle"),
    [
      systemGroup(),
      samplingGroup(),
      themeGroup(),
      keyGroup(),
      dataGroup(() => dialog.close("")),
      keysGroup(),
      group("groupAbout", make("p", { class: "help" }, text("about"))),
    ],
    { kind: "settings" },
  );
}

export function startSettings() {
  byId("settings-open").onclick = openSettings;
}
