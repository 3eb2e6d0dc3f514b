// The page as its user meets it.   node test_page.mjs PERIDOT [NAME...]   (started by run.sh)
// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  NARROW,
  WIDE,
  ask,
  hasTurns,
  isAccessible,
  lastAnswer,
  launch,
  look,
  message,
  open,
  opened,
  send,
  turns,
  whole,
  words,
} from "./browser.mjs";
import { startPeridot, startScripted } from "./servers.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const SAMPLES = path.join(HERE, "../../samples");
const [program, ...names] = process.argv.slice(2);

const tests = [];
const test = (name, run) => tests.push({ name, run });

const FRANCE = "What is the capital of France?";
const LONG = [
  "# A title\n\n",
  "Some words, **strong** ones and `code`.\n\n",
  "```c\nint main(void) {\n",
  "    return 0;\n}\n```\n\n",
  "| name | value |\n|:--|--:|\n",
  "| one | 1 |\n| two | 2 |\n\n",
  "- a list\n- of two\n\n",
  "[a link](https://example.com/)",
];

/** Fresh pages for a test: on the toy, and on answers of its choice. */
let browser, peridot, scripted;
const onToy = (options) => open(browser, peridot.url, options);
const onScript = (script, options) => {
  scripted.script = { wait: 0, ...script };
  scripted.asked = [];
  return open(browser, scripted.url, options);
};

// ---- one conversation --------------------------------------------------------------------------------

test("send", async () => {
  const page = await onToy();
  await page.locator("#welcome").waitFor();
  await look(page, "welcome-wide-light");
  await isAccessible(page, "the empty page");
  assert.ok(await page.locator("#message").evaluate((e) => e === document.activeElement));
  await message(page).fill("one");
  await message(page).press("Shift+Enter");
  assert.equal(await message(page).inputValue(), "one\n");
  await ask(page, FRANCE);
  assert.match(await words(lastAnswer(page)), /Paris/);
  assert.match(await page.locator("#speed").innerText(), /^[\d.,]+ tokens\/s$/);
  assert.match(await page.locator("#context").innerText(), /^\d+ of \d+ tokens$/);
  assert.match(await page.locator("#model").innerText(), /Pip|toy/i);
  assert.equal(await page.locator("#title").innerText(), FRANCE);
  await page.waitForFunction(() => /Paris/.test(document.querySelector("#said").textContent));
  await look(page, "answer-wide-light");
  return page;
});

test("settings", async () => {
  const page = await onScript({ pieces: ["yes"] });
  await page.waitForFunction(() => document.querySelector("#context").textContent);
  await page.keyboard.press("Alt+s");
  const value = (name) => page.locator(`input[name=${name}]`);
  for (const [name, by] of [
    ["temperature", "1"],
    ["top_k", "64"],
    ["top_p", "0.95"],
    ["min_p", "0"],
    ["max_tokens", ""],
  ])
    assert.equal(await value(name).inputValue(), by, name);
  await look(page, "settings-wide");
  await isAccessible(page, "settings");
  await value("temperature").fill("0.5");
  await value("top_k").fill("7");
  await page.locator(".settings textarea").fill("Be brief.");
  await page.keyboard.press("Escape");
  await ask(page, "well?");
  assert.deepEqual(scripted.asked[0].messages, [
    { role: "system", content: "Be brief." },
    { role: "user", content: "well?" },
  ]);
  assert.equal(scripted.asked[0].temperature, 0.5);
  assert.equal(scripted.asked[0].top_k, 7);
  assert.equal("top_p" in scripted.asked[0], false);
  await page.locator("#settings-open").click();
  await page.getByText("Back to the server").click();
  assert.equal(await value("temperature").inputValue(), "1");
  await page.getByLabel("Dark").check();
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), "dark");
  await page.keyboard.press("Escape");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await hasTurns(page, 2);
  return page;
});

test("stream and stop", async () => {
  const page = await onScript({ pieces: Array.from({ length: 400 }, (_, i) => `word${i} `), wait: 15 });
  await send(page, "go");
  await page.getByText("word5").first().waitFor();
  assert.equal(await lastAnswer(page).getAttribute("aria-busy"), "true");
  // a paragraph that grows stays the element that it is, and the end is followed
  await page.waitForFunction(() => document.querySelector(".assistant .turn-body").textContent.includes("word20 "));
  const first = await words(lastAnswer(page));
  assert.ok(!first.includes("word399"));
  const gone = scripted.gone;
  await page.keyboard.press("Escape");
  await page.getByText("Stopped.", { exact: true }).first().waitFor();
  assert.equal(await page.locator("#stop").isHidden(), true);
  for (let i = 0; scripted.gone === gone && i < 40; i++) await page.waitForTimeout(50);
  assert.equal(scripted.gone, gone + 1, "the server is told");
  const kept = await words(lastAnswer(page));
  assert.ok(kept.length >= first.length);
  await page.reload();
  assert.equal(await words(lastAnswer(page)), kept);
  // what was stopped goes on
  scripted.script = { pieces: ["and the rest"], wait: 0 };
  await page.getByRole("button", { name: "Go on" }).click();
  await whole(page);
  assert.equal(scripted.asked.at(-1).messages.at(-1).role, "assistant");
  assert.match(await words(lastAnswer(page)), /and the rest$/);
  return page;
});

test("reloaded in the middle", async () => {
  const page = await onScript({ pieces: Array.from({ length: 60 }, (_, i) => `word${i} `), wait: 100 });
  await send(page, "go");
  await page.getByText("word14").first().waitFor(); // it is kept once in a second
  await page.reload();
  await page.getByText("The answer was interrupted.").first().waitFor();
  const kept = await words(lastAnswer(page));
  assert.match(kept, /^word0 word1 .*word\d+$/);
  scripted.script = { pieces: [" and the rest"], wait: 0 };
  await page.getByRole("button", { name: "Go on" }).click();
  await whole(page);
  assert.equal(await words(lastAnswer(page)), `${kept} and the rest`);
  return page;
});

test("following the end", async () => {
  const page = await onScript(
    { pieces: Array.from({ length: 120 }, (_, i) => `line ${i}\n\n`), wait: 10 },
    { viewport: NARROW },
  );
  const atEnd = () =>
    page.evaluate(() => {
      const e = document.querySelector("#scroll");
      return e.scrollHeight - e.scrollTop - e.clientHeight < 60;
    });
  await send(page, "go");
  await page.getByText("line 40", { exact: true }).first().waitFor();
  assert.ok(await atEnd(), "the end is followed");
  const composer = await page.locator("#composer").boundingBox();
  await page.locator("#scroll").hover();
  await page.mouse.wheel(0, -300);
  const top = await page.evaluate(() => document.querySelector("#scroll").scrollTop);
  await page.getByText("line 80", { exact: true }).first().waitFor();
  assert.ok(
    Math.abs((await page.evaluate(() => document.querySelector("#scroll").scrollTop)) - top) < 301,
    "the reader is left where he is",
  );
  assert.ok(!(await atEnd()));
  assert.deepEqual(await page.locator("#composer").boundingBox(), composer, "nothing jumps");
  await page.locator("#to-end").click();
  assert.ok(await atEnd());
  await whole(page);
  return page;
});

test("regenerate, edit, branches", async () => {
  const page = await onScript({ pieces: ["first"] });
  await ask(page, "question");
  scripted.script.pieces = ["second"];
  await page.getByRole("button", { name: "Answer again" }).click();
  await page.getByText("second").first().waitFor();
  await whole(page);
  assert.deepEqual(scripted.asked.at(-1).messages, [{ role: "user", content: "question" }]);
  assert.equal(await lastAnswer(page).locator(".version").innerText(), "2 of 2");
  await page.getByRole("button", { name: "Version before" }).click();
  assert.equal(await words(lastAnswer(page)), "first");
  // another question is a branch of its own
  scripted.script.pieces = ["third"];
  await turns(page, "user").getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit the message").fill("another");
  await page.keyboard.press("Enter");
  await page.getByText("third").first().waitFor();
  await whole(page);
  await hasTurns(page, 2);
  assert.equal(await turns(page, "user").locator(".version").innerText(), "2 of 2");
  // an answer can be edited as well, and what follows builds on that
  await lastAnswer(page).getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit the message").fill("fourth");
  await page.getByRole("button", { name: "Save" }).click();
  assert.equal(await words(lastAnswer(page)), "fourth");
  await ask(page, "and then?");
  assert.deepEqual(
    scripted.asked.at(-1).messages.map((line) => line.content),
    ["another", "fourth", "and then?"],
  );
  await look(page, "branches-wide");
  await page.reload();
  await hasTurns(page, 4);
  await turns(page, "user").first().getByRole("button", { name: "Version before" }).click();
  await hasTurns(page, 2);
  assert.equal(await words(lastAnswer(page)), "first");
  return page;
});

test("pictures", async () => {
  const page = await onToy();
  await page.waitForFunction(() => document.querySelector("#context").textContent);
  await page.locator("#files").setInputFiles(path.join(SAMPLES, "1.png"));
  await page.locator("#pictures img").waitFor();
  // dropped, and pasted
  const bytes = readFileSync(path.join(SAMPLES, "2.png")).toString("base64");
  const give = (kind) =>
    page.evaluate(
      ([base64, type]) => {
        const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], "given.png", { type: "image/png" }));
        const target = document.querySelector("#message");
        const how = { bubbles: true, cancelable: true };
        if (type === "paste") target.dispatchEvent(new ClipboardEvent("paste", { ...how, clipboardData: data }));
        else
          for (const name of ["dragenter", "dragover", "drop"])
            target.dispatchEvent(new DragEvent(name, { ...how, dataTransfer: data }));
      },
      [bytes, kind],
    );
  await give("drop");
  await page.locator("#pictures li").nth(1).waitFor();
  await give("paste");
  await page.locator("#pictures li").nth(2).waitFor();
  await page.locator("#camera").click();
  await page.waitForFunction(() => document.querySelector("video")?.videoWidth > 0);
  await look(page, "camera");
  await page.getByRole("button", { name: "Take", exact: true }).click();
  await page.locator("#pictures li").nth(3).waitFor();
  await look(page, "pictures-to-send");
  for (const n of [3, 2, 1]) await page.locator("#pictures .icon").nth(n).click();
  await ask(page, "What is in the picture?");
  assert.match(await words(lastAnswer(page)), /circle|square|star/);
  await page.reload();
  await page.locator(".turn .thumbnail").click();
  await page.waitForFunction(() => document.querySelector(".viewer img").naturalWidth > 0);
  await look(page, "picture-large");
  await page.keyboard.press("Escape");
  await page
    .locator("#files")
    .setInputFiles({ name: "no.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.getByText("no.png is no picture that this browser can read.").first().waitFor();
  return page;
});

// ---- many conversations --------------------------------------------------------------------------------

test("conversations", async () => {
  const page = await onScript({ pieces: ["an answer about peridots"] });
  for (const words of ["apples", "pears", "plums"]) {
    await ask(page, words);
    await page.keyboard.press("Alt+n");
  }
  const rows = page.locator("#list .row-main");
  assert.deepEqual(await rows.allInnerTexts(), ["plums", "pears", "apples"]);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("APPLES");
  await page.waitForFunction(() => document.querySelectorAll("#list .row").length === 1);
  await page.locator("#search").fill("peridots");
  await page.waitForFunction(() => document.querySelectorAll("#list .row").length === 3);
  await page.locator("#search").fill("nowhere");
  await page.getByText("No conversation has these words.").first().waitFor();
  await page.locator("#search").fill("");
  await page.waitForFunction(() => document.querySelectorAll("#list .row").length === 3);
  // by keys alone
  await rows.first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#title").textContent === "pears");
  await page.getByRole("button", { name: "Rename, export or delete: pears" }).click();
  await look(page, "conversation-dialog");
  await page.keyboard.type("Green <b>pears</b>");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#title").textContent === "Green <b>pears</b>");
  // out, away, and in again
  await page.locator("#settings-open").click();
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export all" }).click(),
  ]);
  const saved = path.join(process.env.PAGE_PICTURES, "export.json");
  await file.saveAs(saved);
  await page.getByRole("button", { name: "Delete all" }).click();
  await page.getByRole("button", { name: "Delete for good" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#list .row").length === 0);
  await page
    .locator("input.import")
    .setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from("[1]") });
  await page.getByText("This file cannot be imported: it holds no conversations of Peridot.").first().waitFor();
  await page.locator("input.import").setInputFiles(saved);
  await page.waitForFunction(() => document.querySelectorAll("#list .row").length === 3);
  assert.deepEqual((await rows.allInnerTexts()).toSorted(), ["Green <b>pears</b>", "apples", "plums"]);
  await page.locator("dialog").waitFor({ state: "detached" });
  await hasTurns(page, 2);
  return page;
});

test("another tab is closed in the middle", async () => {
  const writer = await onScript({ pieces: Array.from({ length: 200 }, (_, i) => `word${i} `), wait: 50 });
  const page = await open(browser, scripted.url, { context: writer.context() });
  await send(writer, "go");
  await page.locator("#list .row-main").first().click();
  await page.getByText("word5").first().waitFor();
  assert.equal(await lastAnswer(page).getAttribute("aria-busy"), "true");
  await writer.close();
  await page.getByText("The answer was interrupted.").first().waitFor();
  return page;
});

test("two tabs", async () => {
  const page = await onScript({ pieces: ["hello ", "from ", "one"], wait: 200 });
  const other = await open(browser, scripted.url, { context: page.context() });
  await send(page, "question");
  await other.locator("#list .row-main").first().click();
  await page.getByText("hello").first().waitFor();
  await whole(page);
  await other.getByText("hello from one").first().waitFor();
  await whole(other);
  await ask(other, "more");
  await hasTurns(page, 4);
  await page
    .getByRole("button", { name: /Rename/ })
    .first()
    .click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Delete for good" }).click();
  await hasTurns(other, 0);
  assert.deepEqual(other.faults, []);
  return page;
});

// ---- what goes wrong -----------------------------------------------------------------------------------

test("connection lost", async () => {
  const page = await onScript({ pieces: ["The capital ", "of France"], wait: 20, breakAfter: 1 });
  await send(page, "go");
  await page.getByText("The connection was lost").first().waitFor();
  scripted.script = { pieces: [" of France is Paris."], wait: 0 };
  await whole(page);
  assert.equal(await words(lastAnswer(page)), "The capital of France is Paris.");
  assert.deepEqual(scripted.asked.at(-1).messages.at(-1), { role: "assistant", content: "The capital" });
  return page;
});

test("errors are sentences", async () => {
  const page = await onScript({
    status: 400,
    error: { message: "the prompt has 9000 tokens, and 8192 fit", type: "invalid_request_error" },
  });
  await ask(page, "long");
  await page.getByText("The prompt has 9000 tokens, and 8192 fit.").first().waitFor();
  await isAccessible(page, "an error");
  await look(page, "error-wide");
  scripted.script = {
    status: 503,
    error: { message: "32 requests are waiting already", type: "unavailable_error", code: "busy" },
  };
  await page.getByRole("button", { name: "Answer again" }).click();
  await page.getByText("32 requests are waiting already. Try again in a moment.").first().waitFor();
  return page;
});

test("wrong key", async () => {
  const locked = await startPeridot(program, "--port", "0", "--api-key", "sesame");
  try {
    const page = await open(browser, locked.url, { viewport: NARROW });
    await page.getByLabel("Key", { exact: true }).waitFor();
    await look(page, "key-narrow");
    await isAccessible(page, "the question for a key");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The server does not know this key.").first().waitFor();
    await page.getByLabel("Key", { exact: true }).fill("sesame");
    await page.keyboard.press("Enter");
    await ask(page, FRANCE);
    assert.match(await words(lastAnswer(page)), /Paris/);
    assert.equal(await page.evaluate(() => localStorage.getItem("peridot.key")), null, "kept in this tab alone");
    await page.reload();
    await ask(page, FRANCE);
    return page;
  } finally {
    await locked.stop();
  }
});

test("server restarted", async () => {
  let server = await startPeridot(program, "--port", "0");
  const { port } = server;
  try {
    const page = await open(browser, server.url);
    await ask(page, FRANCE);
    await server.stop();
    await send(page, "What is the capital of Italy?");
    await page.getByText("The server does not answer.").first().waitFor();
    await look(page, "lost-wide");
    server = await startPeridot(program, "--port", String(port));
    await whole(page);
    assert.match(await words(lastAnswer(page)), /Rome/);
    assert.equal(await page.locator("#notice").isHidden(), true);
    return page;
  } finally {
    await server.stop();
  }
});

test("hostile answers", async () => {
  const hostile = [
    "<script>document.title = 'taken'</script>",
    '<img src=x onerror="alert(1)">',
    "<svg onload=alert(1)></svg>",
    "[click](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>) [mail](mailto:a@b.c)",
    "![picture](https://example.com/spy.png)",
    '<iframe src="https://example.com"></iframe>',
    "<style>body{display:none}</style>",
    "<form action=/cache/clear method=post><button>win</button></form>",
    '<a href="javascript:alert(1)" onclick=alert(1)>x</a>',
    "<div id=message>over</div>",
    "water is H<sub>2</sub>O<br>next",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    `|${" a |".repeat(60)}\n|${"---|".repeat(60)}\n|${" long words in a cell |".repeat(60)}`,
    `\`\`\`"><img/src=x/onerror=alert(1)>\n${"x".repeat(3000)}\n\`\`\``,
    "w".repeat(3000),
    `${"> ".repeat(80)}deep`,
    "- [ ] open\n- [x] done",
    '<p style="position:fixed;inset:0">cover</p>',
  ];
  for (const viewport of [WIDE, NARROW]) {
    const page = await onScript({ pieces: [hostile.join("\n\n")] }, { viewport });
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await ask(page, "<img src=x onerror=alert(1)> **me**");
    assert.equal(
      await page.evaluate(
        () =>
          document.querySelectorAll(
            ".turn :is(script, img, svg:not(button svg), iframe, style, form, math, [onerror], [onclick], [id])",
          ).length,
      ),
      0,
    );
    assert.deepEqual(
      await page.locator(".turn-body a[href]").evaluateAll((links) => links.map((link) => link.href)),
      ["mailto:a@b.c", "https://example.com/spy.png"],
    );
    assert.match(await words(lastAnswer(page)), /<script>document\.title/);
    assert.equal(await page.locator(".turn-body sub").innerText(), "2");
    assert.equal(await words(turns(page, "user")), "<img src=x onerror=alert(1)> **me**");
    assert.match(await page.title(), /Peridot$/);
    await page.waitForTimeout(100);
    assert.deepEqual(
      asked.filter((url) => !url.startsWith(scripted.url)),
      [],
    );
    await look(page, `hostile-${viewport.width}`);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
});

// ---- looks ---------------------------------------------------------------------------------------------

test("looks", async () => {
  for (const [name, viewport] of [
    ["wide", WIDE],
    ["narrow", NARROW],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await onScript({ pieces: LONG }, { viewport, colorScheme });
      await ask(page, "Show me what you can write");
      await look(page, `markdown-${name}-${colorScheme}`);
      await isAccessible(page, `Markdown, ${name}, ${colorScheme}`);
      assert.equal(await page.locator(".code code").first().innerText(), "int main(void) {\n    return 0;\n}");
      await page.getByRole("button", { name: "Copy code" }).click();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "int main(void) {\n    return 0;\n}");
      await page.locator("#settings-open").click();
      await look(page, `settings-${name}-${colorScheme}`);
      if ((name === "wide") === (colorScheme === "light"))
        // each width and each colour once
        await isAccessible(page, `settings, ${name}, ${colorScheme}`);
      await page.keyboard.press("Escape");
      if (viewport === NARROW) {
        await page.locator("#side-open").click();
        await look(page, `drawer-${colorScheme}`);
        await isAccessible(page, "the drawer");
        await page.keyboard.press("Escape");
        assert.ok(await page.locator("#side-open").evaluate((e) => e === document.activeElement));
      }
      assert.deepEqual(page.faults, []);
      await page.context().close();
    }
  }
});

// ---- the README's pictures, when they are asked for ------------------------------------------------------

const readme = {
  name: "readme",
  async run() {
    for (const [name, viewport, colorScheme] of [
      ["desktop", { width: 1000, height: 720 }, "light"],
      ["phone", NARROW, "dark"],
    ]) {
      const page = await onToy({ viewport, colorScheme, deviceScaleFactor: name === "phone" ? 1.5 : 1 });
      await ask(page, FRANCE);
      await page.keyboard.press("Alt+n");
      await page.locator("#files").setInputFiles(path.join(SAMPLES, "1.png"));
      await page.locator("#pictures img").waitFor();
      await ask(page, "What is in the picture?");
      if (name === "desktop") await ask(page, "What color is the star?");
      await look(page, `page-${name}`);
      await page.context().close();
    }
  },
};

// ---- all -------------------------------------------------------------------------------------------------

async function attempt({ name, run }) {
  const began = Date.now();
  try {
    const page = await run();
    if (page) {
      assert.deepEqual(page.faults, []);
      await page.context().close();
    }
    console.log(`ok     ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack}`);
    for (const page of opened.filter((one) => !one.isClosed())) {
      console.log(`on ${page.url()}:`, page.faults);
      await page.screenshot({
        path: path.join(process.env.PAGE_PICTURES, `failed-${name.replace(/\W+/g, "-")}.png`),
      });
    }
    for (const context of browser.contexts()) await context.close();
    return false;
  }
}

browser = await launch(process.env.CHROMIUM);
peridot = await startPeridot(program, "--port", "0");
scripted = await startScripted(peridot);
let failed = 0;
for (const one of names.length === 0 ? tests : [...tests, readme].filter(({ name }) => names.includes(name)))
  failed += (await attempt(one)) ? 0 : 1;
await browser.close();
scripted.stop();
await peridot.stop();
console.log(failed ? `${failed} of the tests failed` : "all passed");
process.exit(failed ? 1 : 0);
