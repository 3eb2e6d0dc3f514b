// A browser, what the tests do on the page, and what is looked at on every picture of it.
// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const modules = createRequire(path.join(process.env.PAGE_MODULES, "node_modules", "x.js"));
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

export const WIDE = { width: 1600, height: 900 };
export const NARROW = { width: 360, height: 740 };

export function launch(program) {
  return chromium.launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
}

/** All pages, for what a failure leaves to be told. */
export const opened = [];

/** A page in a browser of its own, which fails the test by any error or word against the policy. */
export async function open(browser, url, options = {}) {
  const context =
    options.context ??
    (await browser.newContext({
      viewport: WIDE,
      colorScheme: "light",
      reducedMotion: "reduce",
      permissions: ["clipboard-read", "clipboard-write", "camera"],
      ...options,
    }));
  context.setDefaultTimeout(15000);
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) page.faults.push(message.text());
  });
  page.on("dialog", (dialog) => {
    page.faults.push(`the page says ${dialog.message()}`);
    dialog.dismiss();
  });
  opened.push(page);
  await page.goto(url);
  return page;
}

// ---- what is done --------------------------------------------------------------------------------

export const message = (page) => page.locator("#message");
export const turns = (page, role) => page.locator(`.turn${role ? `.${role}` : ""}`);
export const lastAnswer = (page) => turns(page, "assistant").last();

export const hasTurns = (page, n) =>
  page.waitForFunction((count) => document.querySelectorAll(".turn").length === count, n);

export async function whole(page) {
  await page.waitForFunction(() => {
    const last = document.querySelector("#turns > li:last-child");
    return (
      last?.classList.contains("assistant") &&
      last.getAttribute("aria-busy") === "false" &&
      document.querySelector("#stop").hidden
    );
  });
}

export async function send(page, words) {
  await message(page).fill(words);
  await message(page).press("Enter");
}

export async function ask(page, words) {
  await send(page, words);
  await whole(page);
}

export const words = (locator) => locator.locator(".turn-body").innerText();

// ---- what is looked at ---------------------------------------------------------------------------

/** Sentences of what is outside of the window or over something else. Run on the page. */
function faultsOfLayout() {
  const faults = [];
  const nameOf = (e) =>
    `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ""}${
      e.className && typeof e.className === "string" ? `.${e.className.trim().replace(/\s+/g, ".")}` : ""
    } "${(e.ariaLabel || e.textContent || "").trim().slice(0, 20)}"`;
  const dialog = document.querySelector("dialog[open]");
  const root = dialog ?? document.body;

  /** What is to be seen of it: cut by everything that scrolls or hides. */
  function seen(element) {
    let { left, top, right, bottom } = element.getBoundingClientRect();
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (getComputedStyle(at).overflowX === "visible") continue;
      const box = at.getBoundingClientRect();
      left = Math.max(left, box.left);
      right = Math.min(right, box.right);
      top = Math.max(top, box.top);
      bottom = Math.min(bottom, box.bottom);
    }
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  }

  if (document.documentElement.scrollWidth > innerWidth)
    faults.push(`the page is ${document.documentElement.scrollWidth} wide`);
  const scrolls = document.querySelector("#scroll");
  if (scrolls.scrollWidth > scrolls.clientWidth) faults.push(`the turns are ${scrolls.scrollWidth} wide`);

  const isSeen = (e) =>
    e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest("[inert]");
  const drawer = document.body.classList.contains("drawer") ? document.querySelector("#side") : null;
  const all = [
    ...(drawer ?? root).querySelectorAll(
      "button, input, textarea, a[href], h1, h2, p, label, legend, meter, img, dt, dd",
    ),
  ].filter((e) => isSeen(e) && !e.closest(".unseen, .skip, noscript"));
  for (const element of all) {
    const box = seen(element);
    if (box.width < 1 || box.height < 1) continue;
    if (box.left < -1 || box.right > innerWidth + 1) faults.push(`${nameOf(element)} is outside of the window`);
    const isButton = element.tagName === "BUTTON";
    if (isButton && (element.offsetWidth < 24 || element.offsetHeight < 24))
      faults.push(`${nameOf(element)} is too small for a finger`);
  }
  // what lies over the rest on purpose
  const over = (e) => e.closest("#to-end, #pictures .icon, #shade");
  for (let i = 0; i < all.length; i++) {
    for (let j = i + 1; j < all.length; j++) {
      const [a, b] = [all[i], all[j]];
      if (a.contains(b) || b.contains(a) || over(a) || over(b)) continue;
      const [x, y] = [seen(a), seen(b)];
      const width = Math.min(x.right, y.right) - Math.max(x.left, y.left);
      const height = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
      if (width > 1.5 && height > 1.5) faults.push(`${nameOf(a)} and ${nameOf(b)} overlap by ${width} x ${height}`);
    }
  }
  return faults;
}

/** A picture of the page, which has to be in order. */
export async function look(page, name) {
  await page.waitForTimeout(50); // what is drawn later is drawn
  await page.screenshot({ path: path.join(process.env.PAGE_PICTURES, `${name}.png`) });
  assert.deepEqual(await page.evaluate(faultsOfLayout), [], `the layout of ${name}`);
}

/** axe finds nothing that somebody could not see, hear, or reach. The policy lets no script in; the debugger does. */
export async function isAccessible(page, name) {
  await page.evaluate(`(() => { ${axe} })()`);
  const found = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const told = found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
  );
  assert.deepEqual(told, [], `accessibility of ${name}`);
}
