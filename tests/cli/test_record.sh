#!/usr/bin/env bash
# `record`: a device as JSON; tables and drawings of several; what has no room; bad requests and files.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
export TMPDIR=$work/tmp PERIDOT_CACHE_DIR=$work/cache
mkdir -p "$TMPDIR" "$work/models"
quick=(record --presets tiny -p 24 -n 4 -r 3)

expect_ok "${quick[@]}" --device cpu -d 0,32 --no-test
jq -e '.record == "peridot" and .schema == 1 and .precision == "f16" and .device.id == "cpu" and
  .device.read_gb_s > 0 and .device.copy_gb_s > 0 and (.self_test | not) and .repetitions == 3 and
  (.command | test("^peridot record --device .cpu. --presets .tiny.")) and (.build.compiler | length) > 0 and
  [.models[].preset] == ["tiny"] and .models[0].memory_bytes > 0 and [.models[0].tests[].test] == ["pp24", "tg4", "pp24 @ d32", "tg4 @ d32"] and
  all(.models[0].tests[]; (.samples_ns | length) == 3 and .slowest <= .tokens_per_second and
      .tokens_per_second <= .fastest and .memory_percent > 0 and .arithmetic_percent > 0 and
      .dispatches > 0 and (.logits_hash | test("^[0-9a-f]{16}$")))' "$work/out" >"$work/jq" ||
  fail "a record: $(head -c 900 "$work/out")"
cp "$work/out" "$work/a.json"
[ -z "$(ls "$TMPDIR")" ] || fail "left behind: $(ls "$TMPDIR")"
grep -q '^tiny: pp24 @ d32$' "$work/err" || fail "nothing is told: $(cat "$work/err")"

# The median of three is the second.
jq -e '.models[0].tests[0] | (.samples_ns | sort)[1] as $ns |
  (.tokens_per_second - 24e9 / $ns | fabs) < 1e-6 * .tokens_per_second' "$work/a.json" >"$work/jq" ||
  fail "no median: $(jq -c '.models[0].tests[0]' "$work/a.json")"

# Equal computation, equal hashes; the models stay where they are wanted.
expect_ok "${quick[@]}" --device cpu -d 0,32 --no-test --models "$work/models" -o "$work/b.json"
expect_text "hashes" "$(jq -c '[.models[0].tests[].logits_hash]' "$work/a.json")" \
  "$(jq -c '[.models[0].tests[].logits_hash]' "$work/b.json")"
expect_text "models that stay" "peridot-synth-tiny-q4_0.gguf" "$(ls "$work/models")"
grep -q '^| device | pp24 | tg4 | pp24 @ d32 | tg4 @ d32 |$' "$work/out" || fail "no table: $(cat "$work/out")"

# ---- tables --------------------------------------------------------------------------------------
jq '.device.name = "A <card> | of & mine" | .models[0].tests |= .[0:2] | .models[0].tests[0].tokens_per_second = 123456 |
  .models += [{preset: "27b", type: "q4_0", tests: [], failure: "no room for it"}] |
  .self_test = {holds: false, tests: 9, failed: 2}' "$work/a.json" >"$work/c.json"
jq '.precision = "q8"' "$work/a.json" >"$work/d.json"
expect_ok record --table "$work/a.json" "$work/c.json" "$work/d.json" --plot "$work/plot.svg"
grep -q '^## tiny, q4_0, precision f16$' "$work/out" && grep -q '^## tiny, q4_0, precision q8$' "$work/out" ||
  fail "groups: $(cat "$work/out")"
[ "$(grep -c '^## ' "$work/out")" -eq 3 ] || fail "groups: $(cat "$work/out")"
grep -q '^| A &lt;card> \\| of & mine (computes something else) | 123456 ([0-9]* %) | .* ([0-9]* %) | | |$' "$work/out" ||
  fail "a row: $(grep mine "$work/out")"
grep -q '| \*\*no\*\*, 2 of 9 tests failed |' "$work/out" || fail "a device that fails: $(cat "$work/out")"
grep -q '^- A &lt;card> \\| of & mine, 27b: no room for it$' "$work/out" || fail "what had no room: $(cat "$work/out")"
python3 - "$work/plot.svg" <<'PY' || fail "the drawing: $(head -c 600 "$work/plot.svg")"
import sys
import xml.dom.minidom
svg = xml.dom.minidom.parse(sys.argv[1])
width, height = map(float, svg.documentElement.getAttribute("viewBox").split()[2:])
bars = [(float(r.getAttribute("x")) + float(r.getAttribute("width")), float(r.getAttribute("y")) + 14)
        for r in svg.getElementsByTagName("rect")]
texts = [t.firstChild.data for t in svg.getElementsByTagName("text")]
assert len(bars) == 10 and all(x < width - 60 and y < height for x, y in bars), bars
assert sum("A <card> | of & mine (computes something else)" in t for t in texts) == 2, texts
PY

# ---- a device's test, and what fails -------------------------------------------------------------
expect_error 2 'no preset "2b"' record --presets tiny,2b
expect_error 2 "every length is 0" record --presets tiny -p 0 -n 0
expect_error 2 "is for --table" record --presets tiny --plot "$work/x.svg"
expect_error 2 "is for --table" record "$work/a.json"
expect_error 2 "needs records" record --table
expect_error 2 "--precision is for measuring" record --table "$work/a.json" --precision q8
expect_error 2 "takes 1 to 8 models" record --presets ,
expect_error 2 "a table goes to standard output" record --table "$work/a.json" -o "$work/x"
expect_error 2 "input itself|is read" record --table "$work/a.json" --plot "$work/a.json"
expect_error 3 "missing.json" record --table "$work/missing.json"
expect_error 3 "no folder" record --presets tiny --models "$work/missing"
expect_error 3 "missing" record --presets tiny -o "$work/missing/record.json"
expect_error 10 "no such device|is called|nothing like" record --presets tiny --device nowhere
echo '{"record": "peridot", "schema": 1' >"$work/cut.json"
expect_error 4 "not what peridot record writes" record --table "$work/cut.json"
jq '.schema = 2' "$work/a.json" >"$work/new.json"
expect_error 5 "schema 2" record --table "$work/new.json"
jq 'del(.models[0].tests[1].tokens_per_second)' "$work/a.json" >"$work/part.json"
expect_error 4 "without all of device" record --table "$work/part.json"

# A test that there is no room for is part of the record, and the others are done. The kernels' own test takes
# half a minute, and far more where others keep the machine busy.
own_test=--no-test
[ -n "${PERIDOT_TEST_LONG-}" ] && own_test=
expect_ok record --presets tiny,tiny --device cpu -p 24 -n 4 -r 1 -d 1000000,0 $own_test
jq -e 'all(.models[]; (.failure | test("pp24 @ d1000000 needs 1000024 positions")) and
  ([.tests[].test] == ["pp24", "tg4"]))' "$work/out" >"$work/jq" || fail "too deep: $(jq -c .models "$work/out")"
[ -n "$own_test" ] || jq -e '.self_test | .holds and .failed == 0 and .tests > 20' "$work/out" >"$work/jq" ||
  fail "the kernels: $(jq -c .self_test "$work/out")"
# Two devices of one name are told apart; what a terminal obeys, and XML does not know, is not passed on.
jq '.device.driver = "another\u001bdriver"' "$work/a.json" >"$work/e.json"
expect_ok record --table "$work/a.json" "$work/e.json" --plot "$work/plot.svg"
grep -q '^| .*, another driver | [0-9]' "$work/out" || fail "two of a name: $(cat "$work/out")"
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/plot.svg" || fail "no XML"
finish
