#!/usr/bin/env bash
# peridot fetch against a hub of its own on 127.0.0.1: what is chosen, how transfers go on after
# everything that can break them, who gets to see the token, and what is refused.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
unset HF_TOKEN HF_TOKEN_PATH HF_HOME HF_ENDPOINT XDG_CACHE_HOME CURL_CA_BUNDLE SSL_CERT_FILE
export HOME=$work/home PERIDOT_CACHE_DIR=$work/cache
hub=$work/hub control=$work/hub/control
mkdir -p "$HOME" "$control"
server=$(cd "$(dirname "$0")" && pwd)/fetch_server.py
cd "$work" || exit 1

# ---- repositories -------------------------------------------------------------------------------
random() { # FILE BYTES
  mkdir -p "$(dirname "$1")"
  head -c "$2" /dev/urandom >"$1"
}
one=$hub/repos/user/one/main
random "$one/one-Q4_0.gguf" 3000000
random "$one/one-Q8_0.gguf" 50000
random "$one/one-BF16.gguf" 40000
random "$one/one-F16.gguf" 30000
random "$one/one-Q4_K_M.gguf" 20000
random "$one/imatrix-q4_0.gguf" 100
random "$one/mmproj-one-F16.gguf" 70000
random "$one/mmproj-one-BF16.gguf" 70000
random "$one/.gitattributes" 20
random "$one/README.md" 1000
random "$hub/repos/user/one/refs-pr/one-q4_0.gguf" 100
mkdir -p "$hub/repos/user/one/v1/2"
random "$hub/repos/user/split/main/Q4_0/s-Q4_0-00001-of-00003.gguf" 50000
random "$hub/repos/user/split/main/Q4_0/s-Q4_0-00002-of-00003.gguf" 60000
random "$hub/repos/user/split/main/Q4_0/s-Q4_0-00003-of-00003.gguf" 70000
random "$hub/repos/user/split/main/Q8_0/s-Q8_0-00001-of-00002.gguf" 100
random "$hub/repos/user/split/main/mmproj-s.gguf" 100
random "$hub/repos/user/odd/main/a b+%C3%A9?&.gguf" 1000
random "$hub/repos/user/none/main/README.md" 100
ok_repo=$hub/repos/user/tiny/main
mkdir -p "$ok_repo"
cp "$golden/small-q4_0.gguf" "$ok_repo/tiny-q4_0.gguf"

if command -v openssl >/dev/null; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/trusted.pem" 2>"$work/openssl.err" ||
    fail "no certificate: $(cat "$work/openssl.err")"
  cat "$work/trusted.pem" "$work/key.pem" >"$hub/cert.pem"
fi
python3 "$server" "$hub" </dev/null >"$work/server.err" 2>&1 &
server_pid=$!
trap 'kill "$server_pid" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do [ -s "$hub/ports" ] && break; sleep 0.1; done
[ -s "$hub/ports" ] || { fail "the server did not start: $(cat "$work/server.err")"; finish; }
read -r port _ tls_port <"$hub/ports"
export HF_ENDPOINT=http://127.0.0.1:$port/

# ---- helpers ------------------------------------------------------------------------------------
reset() { # a hub without whims, an empty cache, an empty log
  rm -rf "$control" "$PERIDOT_CACHE_DIR" "$hub/log"
  mkdir "$control"
  : >"$hub/log"
}
knob() { # NAME [TEXT]
  printf '%s' "${2-}" >"$control/$1.tmp" && mv "$control/$1.tmp" "$control/$1"
}
lines() { # PATTERN: how many requests were like this
  grep -cE -- "$1" "$hub/log"
}
# fetched REPO-FOLDER NAME...: what the cache holds for it is the same, and nothing else
fetched() {
  local from=$1 to=$PERIDOT_CACHE_DIR/models/${1#"$hub/repos/"} name found wanted
  shift
  for name in "$@"; do cmp -s "$from/$name" "$to/$name" || fail "$name is not as it was sent"; done
  found=$(cd "$to" && find . -type f ! -name .peridot-fetch.json | sed 's|^\./||' | sort | tr '\n' ' ')
  wanted=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
  expect_text "the files in the cache" "$wanted" "$found"
}
main=$PERIDOT_CACHE_DIR/models/user/one/main

# ---- what is chosen -----------------------------------------------------------------------------
reset
expect_ok fetch user/one
expect_text "what fetch prints" "$main/one-Q4_0.gguf" "$(cat "$work/out")"
fetched "$one" one-Q4_0.gguf mmproj-one-F16.gguf
grep -q 'agent=peridot/[0-9]' "$hub/log" || fail "no User-Agent: $(cat "$hub/log")"
: >"$hub/log"
expect_ok fetch user/one
expect_text "the second time" "$main/one-Q4_0.gguf" "$(cat "$work/out")"
[ ! -s "$work/err" ] || fail "nothing to do, and yet: $(cat "$work/err")"
[ "$(lines /resolve/)" -eq 0 ] || fail "what was there was fetched again: $(cat "$hub/log")"
[ "$(lines /tree/)" -eq 1 ] || fail "not one listing: $(cat "$hub/log")"
reset
expect_ok fetch user/one:q8_0 --no-mmproj
fetched "$one" one-Q8_0.gguf
reset
expect_ok fetch user/one:f16 --no-mmproj # and not bf16, which comes before it
fetched "$one" one-F16.gguf
reset
expect_ok fetch user/one:q4_k --no-mmproj # no whole word, but a part of one
fetched "$one" one-Q4_K_M.gguf
expect_error 2 'no model of the type q6_k' fetch user/one:q6_k
grep -q 'it has BF16, F16, Q4_0, Q4_K_M, Q8_0$' "$work/err" || fail "types: $(cat "$work/err")"
expect_ok fetch user/one --file README.md
expect_text "one file" "$main/README.md" "$(cat "$work/out")"
fetched "$one" one-Q4_K_M.gguf README.md
expect_error 2 'has no file "READ.md"' fetch user/one --file READ.md
grep -q 'did you mean README.md' "$work/err" || fail "no nearest name: $(cat "$work/err")"
expect_error 2 'cannot be used together' fetch user/one:q4_0 --file README.md
reset
expect_ok fetch user/split -o there/deep
expect_text "a split file" "there/deep/Q4_0/s-Q4_0-00001-of-00003.gguf" "$(cat "$work/out")"
grep -q -- '--mmproj there/deep/mmproj-s.gguf$' "$work/err" || fail "encoder elsewhere: $(cat "$work/err")"
diff -r -x Q8_0 -x .peridot-fetch.json "$hub/repos/user/split/main" there/deep >/dev/null ||
  fail "a split file did not arrive whole: $(find there)"
expect_error 4 'lacks the part Q8_0/s-Q8_0-00002-of-00002.gguf' fetch user/split:q8_0 -o nowhere
[ ! -e nowhere ] || fail "a refused fetch left a folder"
expect_ok fetch user/odd
fetched "$hub/repos/user/odd/main" 'a b+%C3%A9?&.gguf'
expect_error 5 'neither GGUF files nor a checkpoint' fetch user/none
expect_ok fetch user/one --revision refs-pr
expect_text "a revision" "$PERIDOT_CACHE_DIR/models/user/one/refs-pr/one-q4_0.gguf" "$(cat "$work/out")"
expect_error 2 'has no revision v9' fetch user/one --revision v9
expect_error 2 'has no revision a/b' fetch user/one --revision a/b
grep -q 'tree/a%2Fb?' "$hub/log" || fail "a slash in a revision was not escaped"
reset
expect_ok fetch user/one:q8_0 --json
if command -v jq >/dev/null; then
  expect_text "--json" "user/one main c0ffee0 one-Q8_0.gguf mmproj-one-F16.gguf 2 50000" "$(jq -r \
    '[.repo, .revision, .commit[:7], (.model | split("/") | last), (.mmproj | split("/") | last),
      (.files | length), (.files[] | select(.name == "one-Q8_0.gguf") | .bytes)] | join(" ")' "$work/out")"
fi

# ---- pages, and a CDN that must not see the token -----------------------------------------------
reset
knob page 2
knob cdn
knob token hf_secret
export HF_TOKEN=hf_secret
expect_ok fetch user/one
fetched "$one" one-Q4_0.gguf mmproj-one-F16.gguf
[ "$(lines 'hub .*/tree/.*auth=Bearer_hf_secret')" -ge 5 ] || fail "pages: $(cat "$hub/log")"
[ "$(lines 'hub .*/resolve/.*auth=Bearer_hf_secret')" -eq 2 ] || fail "no token: $(cat "$hub/log")"
[ "$(lines 'cdn .*auth=-')" -eq 2 ] || fail "the CDN was not asked: $(cat "$hub/log")"
[ "$(lines 'cdn .*hf_secret')" -eq 0 ] || fail "the CDN saw the token: $(cat "$hub/log")"
unset HF_TOKEN
mkdir -p "$HOME/.cache/huggingface"
echo hf_secret >"$HOME/.cache/huggingface/token"
expect_ok fetch user/one:q8_0 --no-mmproj
rm -r "$HOME/.cache"
printf 'hf_secret\n' >"$work/token"
HF_TOKEN_PATH=$work/token expect_ok fetch user/one:f16 --no-mmproj
HF_TOKEN_PATH=$work/none expect_error 3 'cannot open' fetch user/one
HF_TOKEN=$'a\r\nX-Evil: b' expect_error 2 'not one word' fetch user/one

# ---- gated and absent ---------------------------------------------------------------------------
reset
knob token hf_secret
expect_error 3 'only to accounts that accepted its licence' fetch user/one
grep -q "$HF_ENDPOINT"'user/one.*HF_TOKEN' "$work/err" || fail "where to accept: $(cat "$work/err")"
HF_TOKEN=wrong expect_error 3 'refuses the token' fetch user/one
knob gated
HF_TOKEN=other expect_error 3 'may not read user/one' fetch user/one
grep -q "$HF_ENDPOINT"'user/one' "$work/err" || fail "where to accept: $(cat "$work/err")"
rm "$control"/*
expect_error 2 'no repository user/two at .*, or it is a private one' fetch user/two
HF_TOKEN=some expect_error 2 'no repository user/two' fetch user/two
knob error '429'
expect_error 3 'wants fewer requests' fetch user/one --retries 0
knob error '418'
expect_error 3 'answers with status 418' fetch user/one
[ "$(lines /tree/)" -eq 7 ] || fail "a refusal was tried again: $(cat "$hub/log")"
[ ! -d "$PERIDOT_CACHE_DIR/models/user" ] || fail "refusals left folders"
for name in one 'a/b/c' '../x' 'user/..' 'user/one:' 'user/one:a/b' 'user/-x' 'https://x/y' '/one'; do
  expect_error 2 'not the name of a repository' fetch "$name"
done
expect_error 2 'is missing' fetch
expect_error 2 'cannot be a branch' fetch user/one --revision ../../x
HF_ENDPOINT=ftp://127.0.0.1 expect_error 2 'HF_ENDPOINT' fetch user/one
HF_ENDPOINT='http://x@127.0.0.1' expect_error 2 'HF_ENDPOINT' fetch user/one

# ---- what breaks off ----------------------------------------------------------------------------
part=$main/one-Q4_0.gguf.$(sha256sum "$one/one-Q4_0.gguf" | cut -c 1-12).part
reset
knob drop 1000000
expect_ok fetch user/one --no-mmproj # goes on by itself
fetched "$one" one-Q4_0.gguf
[ "$(lines 'resolve.*range=bytes=1000000-')" -eq 1 ] || fail "not continued: $(cat "$hub/log")"
grep -q 'trying again' "$work/err" || fail "nothing was said of a new attempt: $(cat "$work/err")"

drop_once() { # leaves a part of a million bytes
  reset
  knob drop 1000000
  expect_error 3 'broke off' fetch user/one --no-mmproj --retries 0
  [ "$(stat -c %s "$part")" -eq 1000000 ] || fail "no part was left: $(ls -la "$main")"
  : >"$hub/log"
}
drop_once
expect_ok fetch user/one --no-mmproj # the next run goes on, through a redirect too
fetched "$one" one-Q4_0.gguf
[ "$(lines 'range=bytes=1000000-')" -eq 1 ] || fail "not continued: $(cat "$hub/log")"
drop_once
knob cdn
expect_ok fetch user/one --no-mmproj
fetched "$one" one-Q4_0.gguf
[ "$(lines 'cdn .*range=bytes=1000000-')" -eq 1 ] || fail "not continued: $(cat "$hub/log")"
drop_once
knob no-range
expect_ok fetch user/one --no-mmproj
fetched "$one" one-Q4_0.gguf
[ "$(lines 'range=bytes=1000000-')" -eq 1 ] || fail "no range was asked for: $(cat "$hub/log")"
drop_once
knob past-end
expect_ok fetch user/one --no-mmproj --retries 1
fetched "$one" one-Q4_0.gguf
drop_once
head -c 5 /dev/zero | dd of="$part" conv=notrunc 2>"$work/dd.err" # a part that rotted
expect_error 4 'arrived damaged: its SHA-256' fetch user/one --no-mmproj
[ ! -e "$part" ] || fail "a damaged part stayed"
[ ! -e "$main/one-Q4_0.gguf" ] || fail "a damaged file got its name"
drop_once
cat "$one/one-Q4_0.gguf" >"$part" # complete, but not moved to its name yet
expect_ok fetch user/one --no-mmproj
fetched "$one" one-Q4_0.gguf
[ "$(lines /resolve/)" -eq 0 ] || fail "a complete part was fetched again"
drop_once
random "$one/one-Q4_0.gguf" 2000000 # another file on the server
expect_ok fetch user/one --no-mmproj
fetched "$one" one-Q4_0.gguf
[ "$(lines 'range=bytes')" -eq 0 ] || fail "another file was continued: $(cat "$hub/log")"
random "$one/one-Q4_0.gguf" 2000000 # and another one, of the same size
expect_ok fetch user/one --no-mmproj
fetched "$one" one-Q4_0.gguf
reset
knob fail '503 2'
expect_ok fetch user/one:q8_0 --no-mmproj --retries 2
fetched "$one" one-Q8_0.gguf
knob fail '503 9'
expect_error 3 'answers with status 503' fetch user/one:f16 --retries 0

# A stopped fetch keeps its part, and the next one goes on.
reset
part=$main/one-Q4_0.gguf.$(sha256sum "$one/one-Q4_0.gguf" | cut -c 1-12).part
knob slow 500000
"$PERIDOT" fetch user/one --no-mmproj >"$work/out" 2>"$work/err" </dev/null &
pid=$!
for _ in $(seq 200); do [ "$(stat -c %s "$part" 2>/dev/null)" = 500000 ] && break; sleep 0.1; done
kill -INT $pid
wait $pid
rc=$?
expect_text "exit code of a stopped fetch" 130 $rc
grep -q '^peridot: stopped on request' "$work/err" || fail "a stopped fetch said: $(cat "$work/err")"
[ ! -s "$work/out" ] || fail "a stopped fetch printed: $(cat "$work/out")"
rm "$control/slow"
expect_ok fetch user/one --no-mmproj
fetched "$one" one-Q4_0.gguf
[ "$(lines 'range=bytes=500000-')" -eq 1 ] || fail "not continued after a stop: $(cat "$hub/log")"

# Two at once: the second one waits and finds everything there.
reset
knob slow 1000
"$PERIDOT" fetch user/one:q8_0 --no-mmproj >"$work/out1" 2>"$work/err1" </dev/null &
pid=$!
for _ in $(seq 200); do [ "$(lines /resolve/)" -eq 1 ] && break; sleep 0.1; done
"$PERIDOT" fetch user/one:q8_0 --no-mmproj >"$work/out2" 2>"$work/err2" </dev/null &
pid2=$!
for _ in $(seq 200); do grep -q 'waiting for another' "$work/err2" && break; sleep 0.1; done
rm "$control/slow"
wait $pid || fail "the first of two: $(cat "$work/err1")"
wait $pid2 || fail "the second of two: $(cat "$work/err2")"
grep -q 'waiting for another' "$work/err2" || fail "the second one did not wait"
[ "$(lines /resolve/)" -eq 1 ] || fail "two fetched the same file: $(cat "$hub/log")"
fetched "$one" one-Q8_0.gguf

# ---- damage -------------------------------------------------------------------------------------
reset
knob corrupt
expect_error 4 'arrived damaged: its SHA-256' fetch user/one:q8_0 --no-mmproj
expect_error 4 'arrived damaged: its SHA-1' fetch user/one --file README.md
expect_text "what damage leaves" ".peridot-fetch.json" "$(ls -A "$main")"
reset
entry() { # PATH [SIZE]
  printf '{"type":"file","path":"%s","size":%s,"oid":"%040d","lfs":{"oid":"%064d","size":%s}}' \
    "$1" "${2-5}" 0 0 "${2-5}"
}
for name in ../../x.gguf /x.gguf a/../x.gguf 'a\\\\x.gguf' 'a\\u0001x.gguf' 'a\\nx.gguf' a//x.gguf ./x.gguf \
  x.gguf/.peridot-fetch.json/y.gguf 'a\\u009bx.gguf' '..'/x.gguf; do
  knob listing "[$(entry "$(printf '%b' "$name")")]"
  expect_error 4 'could lie outside its folder' fetch user/one
done
knob listing "[$(entry 'a\\..\\x.gguf'),$(entry ../x-q4_0.gguf),$(entry good-q8_0.gguf)]"
expect_error 2 'no model of the type q6_k' fetch user/one:q6_k
expect_text "names that are told" "  it has q8_0" "$(tail -n 1 "$work/err")"
for text in '' '[' '{"error":"x"}' '[{"type":"file"}]' '[{"type":"file","path":"x.gguf","size":-1,"oid":"x"}]' \
  '[7]' '[{"type":"file","path":"x.gguf","size":1e99}]' "[$(entry x.gguf 1.5)]" \
  "[$(entry x.gguf | sed 's/0"/g"/g')]" '[{"type":"file","path":"x.gguf","size":3,"oid":"00"}]'; do
  knob listing "$text"
  expect_error 4 'listing of user/one is damaged' fetch user/one
done
knob listing "[$(entry x.gguf 4000000000000000)]"
expect_error 3 'it needs 3.55 PiB|it needs 3637.98 TiB' fetch user/one
knob listing "[$(entry one-Q8_0.gguf 50001)]" # shorter, and longer, than listed
knob unlinked
expect_error 3 'ended after 50000 of 50001' fetch user/one --retries 0
knob listing "[$(entry one-Q8_0.gguf 49999)]"
expect_error 4 'longer than the 49999 bytes' fetch user/one
rm "$control/unlinked"
expect_error 3 'changed on the server' fetch user/one
rm "$control/listing"
knob listing-endless
expect_error 4 'larger than 32 MiB' fetch user/one
rm "$control/listing-endless"
reset
for to in file:///etc/passwd ftp://127.0.0.1/x "gopher://127.0.0.1:$port/x" "$HF_ENDPOINT"user/one/resolve/main/one-Q8_0.gguf; do
  knob redirect "$to" # the last one leads to itself
  expect_error 4 'not followed' fetch user/one:q8_0
done

if [ "$tls_port" -ne 0 ]; then
  reset
  safe=https://127.0.0.1:$tls_port
  HF_ENDPOINT=$safe expect_error 3 'no safe connection' fetch user/one:q8_0
  export SSL_CERT_FILE=$work/trusted.pem
  HF_ENDPOINT=$safe expect_ok fetch user/one:q8_0 --no-mmproj
  fetched "$one" one-Q8_0.gguf
  knob cdn # over http
  HF_ENDPOINT=$safe expect_error 4 'not followed' fetch user/one:f16 --no-mmproj
  [ "$(lines cdn)" -eq 0 ] || fail "https led to http: $(cat "$hub/log")"
  unset SSL_CERT_FILE
else
  echo "openssl is not installed: nothing is tested over TLS"
fi

# ---- without a network --------------------------------------------------------------------------
reset
expect_error 3 'user/one is not complete in' fetch user/one --offline
[ ! -e "$PERIDOT_CACHE_DIR/models/user" ] || fail "--offline made a folder"
expect_ok fetch user/one:q8_0 --no-mmproj
: >"$hub/log"
expect_ok fetch user/one:q8_0 --no-mmproj --offline
expect_text "offline" "$main/one-Q8_0.gguf" "$(cat "$work/out")"
expect_error 3 'mmproj-one-F16.gguf is not complete' fetch user/one:q8_0 --offline
PERIDOT_OFFLINE=1 expect_error 3 'one-Q4_0.gguf is not complete' fetch user/one --no-mmproj
expect_error 2 'no model of the type q6_k' fetch user/one:q6_k --offline
[ ! -s "$hub/log" ] || fail "--offline asked the server: $(cat "$hub/log")"
export HF_ENDPOINT=http://127.0.0.1:1
expect_ok fetch user/one:q8_0 --no-mmproj # nobody there, but nothing is missing
expect_text "no network" "$main/one-Q8_0.gguf" "$(cat "$work/out")"
grep -q 'using what was fetched before' "$work/err" || fail "said: $(cat "$work/err")"
expect_error 3 'cannot reach http://127.0.0.1:1' fetch user/one:f16
HF_ENDPOINT=http://nobody.invalid expect_error 3 'cannot reach' fetch user/two
HF_ENDPOINT=https://127.0.0.1:$port expect_error 3 'no safe connection' fetch user/two
export HF_ENDPOINT=http://127.0.0.1:$port
rm "$main/one-Q8_0.gguf" # the listing says it is there
expect_error 3 'one-Q8_0.gguf is not complete' fetch user/one:q8_0 --no-mmproj --offline
cp "$one/one-Q8_0.gguf" "$main"
rm "$main/.peridot-fetch.json" # the file is there, and no listing says so
: >"$hub/log"
expect_ok fetch user/one:q8_0 --no-mmproj
[ "$(lines /resolve/)" -eq 0 ] || fail "a file that was right was fetched again"
head -c 50000 /dev/zero >"$main/one-Q8_0.gguf"
rm "$main/.peridot-fetch.json"
expect_ok fetch user/one:q8_0 --no-mmproj
fetched "$one" one-Q8_0.gguf
echo '{"repo": "user/one", "files": 7' >"$main/.peridot-fetch.json"
expect_ok fetch user/one:q8_0 --no-mmproj

# ---- checkpoints, and --hf-repo -----------------------------------------------------------------
reset
mkdir -p "$hub/repos/user/hf"
expect_ok synth --hf --preset tiny -o "$hub/repos/user/hf/main"
random "$hub/repos/user/hf/main/README.md" 100
expect_ok fetch user/hf
folder=$(cat "$work/out")
expect_text "a checkpoint's folder" "$PERIDOT_CACHE_DIR/models/user/hf/main" "$folder"
[ ! -e "$folder/README.md" ] || fail "README.md is no part of a checkpoint"
expect_ok convert "$hub/repos/user/hf/main" -o direct.gguf
expect_ok convert "$folder" -o fetched.gguf
cmp -s direct.gguf fetched.gguf || fail "a fetched checkpoint became another file"
expect_error 2 'no model of the type q4_0' fetch user/hf:q4_0
expect_error 5 'holds a checkpoint' run -hf user/hf -p x

reset
expect_ok run -m "$golden/small-q4_0.gguf" -p "Hello there" -n 5 --temp 0 --ids --no-perf --device cpu
expected=$(cat "$work/out")
expect_ok run -hf user/tiny -p "Hello there" -n 5 --temp 0 --ids --no-perf --device cpu
expect_text "run -hf" "$expected" "$(cat "$work/out")"
: >"$hub/log"
expect_ok run --hf-repo user/tiny:q4_0 --offline -p "Hello there" -n 5 --temp 0 --ids --no-perf --device cpu
expect_text "run -hf --offline" "$expected" "$(cat "$work/out")"
[ ! -s "$hub/log" ] || fail "--offline asked the server: $(cat "$hub/log")"
# The log does not go into the model that will be found.
cached=$("$PERIDOT" list --json | sed -n 's/.*"path":[^"]*"\([^"]*user\/tiny[^"]*[.]gguf\)".*/\1/p' | head -n 1)
cp "$cached" "$work/before.gguf"
ln -s "$cached" "$work/log.txt"
for log in "$cached" "$work/log.txt"; do
  expect_error 2 'is the input itself' run -hf user/tiny -p x --log-file "$log"
  expect_error 2 'is the input itself' fetch user/tiny --log-file "$log"
done
cmp -s "$cached" "$work/before.gguf" || fail "a log file replaced the model"
PERIDOT_MODEL=none.gguf expect_ok inspect -hf user/tiny
expect_error 2 'cannot be used together' run -hf user/tiny -m x.gguf -p x
expect_error 2 'no model of the type q8_0' run -hf user/tiny:q8_0 -p x
[ ! -s "$work/server.err" ] || fail "the server: $(cat "$work/server.err")"
finish
