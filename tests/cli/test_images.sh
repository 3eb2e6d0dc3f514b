#!/usr/bin/env bash
# Pictures on the command line: `run --image`, `embed-image`, `logits` with <image>, and what is told
# about pictures and encoders that cannot be used.  SPDX-License-Identifier: MIT
. "$(dirname "$0")/lib.sh"
model=$golden/mm-q4_0.gguf
mmproj=$golden/mm-mmproj.gguf
png=$golden/image.png

# The golden model knows 600 tokens, so that its prompts with pictures are given as ids; the tiny
# synthetic pair has the markers. It finds its encoder by the name.
expect_ok synth -o "$work/tiny.gguf" --vocab 262144
expect_ok synth --mmproj -o "$work/mmproj-tiny.gguf"
tiny=$work/tiny.gguf
make_ppm() { # NAME WIDTH HEIGHT PERL-EXPRESSION of $x, $y: three bytes
  { printf 'P6\n%d %d\n255\n' "$2" "$3"
    perl -e 'binmode STDOUT; my ($w, $h, $e) = @ARGV; my $f = eval "sub { my (\$x, \$y) = \@_; $e }";
             for my $y (0 .. $h - 1) { for my $x (0 .. $w - 1) { print pack("C3", $f->($x, $y)) } }' \
      "$2" "$3" "$4"; } >"$work/$1"
}
make_ppm black.ppm 224 224 '(0, 0, 0)'
make_ppm white.ppm 224 224 '(255, 255, 255)'
make_ppm board.ppm 224 224 '(($x + $y) % 2 * 255) x 3'
make_ppm dot.ppm 1 1 '(200, 100, 0)'
make_ppm long.ppm 900 300 '($x % 256, $y, 7)'

# ---- embed-image

# close_to FILE FILE BOUND: relative L2 difference of two files of float32
close_to() {
  perl -e 'local $/; my @x; for (0, 1) { open my $f, "<:raw", $ARGV[$_] or die; $x[$_] = [unpack "f<*", <$f>] }
           my ($a, $b) = @x; exit 1 if @$a != @$b || !@$a; my ($e, $n) = (0, 0);
           for (0 .. $#$a) { $e += ($$a[$_] - $$b[$_]) ** 2; $n += $$b[$_] ** 2 }
           exit !($e <= ($ARGV[2] ** 2) * $n)' "$1" "$2" "$3" || fail "$1 and $2 differ by more than $3"
}
embed="embed-image -m $model --mmproj $mmproj --device cpu"
# shellcheck disable=SC2086
expect_ok $embed --image "$png" -o "$work/a.f32" --dump-pixels "$work/p.f32"
grep -Eq '^16 rows of 128 values from 224x224 pixels in [0-9.]+ ms$' "$work/err" || fail "embed-image: $(cat "$work/err")"
close_to "$work/a.f32" "$golden/image.embed.f32" 1e-5
close_to "$work/p.f32" "$golden/image.pixels.f32" 1e-6
# shellcheck disable=SC2086
# An encoder whose file asks for another mean gets it: (x - 0.25) / 0.5 is (x - 0.5) / 0.5 + 0.5.
if command -v python3 >/dev/null; then
  python3 - "$mmproj" "$work/other.gguf" <<'EOF'
import struct, sys
data = open(sys.argv[1], "rb").read()
key = b"clip.vision.image_mean"
at = data.index(key) + len(key)
assert struct.unpack_from("<IIQ3f", data, at) == (9, 6, 3, 0.5, 0.5, 0.5)
data = data[: at + 16] + struct.pack("<3f", 0.25, 0.25, 0.25) + data[at + 28 :]
open(sys.argv[2], "wb").write(data)
EOF
  expect_ok embed-image -m "$model" --mmproj "$work/other.gguf" --device cpu --image "$png" \
    -o "$work/o.f32" --dump-pixels "$work/o.pixels"
  python3 - "$work/p.f32" "$work/o.pixels" <<'EOF' || fail "the encoder's own mean was not used"
import array, sys
a, b = array.array("f"), array.array("f")
a.frombytes(open(sys.argv[1], "rb").read())
b.frombytes(open(sys.argv[2], "rb").read())
sys.exit(not (len(a) == len(b) > 0 and all(abs(y - x - 0.5) < 1e-6 for x, y in zip(a, b))))
EOF
fi
expect_ok $embed --pixels "$work/p.f32" -o "$work/b.f32" --dump-pixels "$work/q.f32"
cmp -s "$work/a.f32" "$work/b.f32" || fail "embed-image: pixels that were dumped give other rows"
cmp -s "$work/p.f32" "$work/q.f32" || fail "embed-image: pixels that were read come out as others"
# shellcheck disable=SC2086
expect_ok $embed --pixels "$golden/image.pixels.f32" -o "$work/c.f32" --precision f16
close_to "$work/c.f32" "$golden/image.embed.f32" 1e-2
cmp -s "$work/a.f32" "$work/c.f32" && fail "embed-image: --precision f16 changes nothing"

# The ends of what pixels can be: no NaN, on the reference and on the fast CPU backend.
for picture in black white board dot; do
  for device in cpu-ref cpu; do
    expect_ok embed-image -m "$tiny" --image "$work/$picture.ppm" -o "$work/$device.f32" --device $device
  done
  close_to "$work/cpu.f32" "$work/cpu-ref.f32" 1e-5
done

for flags in "" "--image $png --pixels $work/p.f32"; do
  # shellcheck disable=SC2086
  expect_error 2 'one of --image FILE and --pixels FILE' $embed $flags -o "$work/x.f32"
done
# shellcheck disable=SC2086
{
  expect_error 2 '\-\-output FILE is missing' $embed --image "$png"
  expect_error 2 'takes one --image, not 2' $embed --image "$png" --image "$png" -o "$work/x.f32"
  expect_error 4 'has 2312 bytes, but \[3, 224, 224\] float32 are 602112' $embed --pixels "$png" -o "$work/x.f32"
  expect_error 3 'No such file' $embed --pixels "$work/none.f32" -o "$work/x.f32"
  expect_error 3 'x/y' $embed --image "$png" -o "$work/x/y"
}
head -c 602112 /dev/zero | tr '\0' '\377' >"$work/nan.f32"
# shellcheck disable=SC2086
expect_error 13 'patch_embd made a NaN' $embed --pixels "$work/nan.f32" -o "$work/x.f32"
[ ! -e "$work/x.f32" ] || fail "a failed embed-image left its file"

# ---- logits

ids='2 105 300 301 498 <image> 499 310 311 312 106 107 105 320 107'
logits="logits -m $model --mmproj $mmproj --device cpu -o $work/l.f32"
for more in "" "-b 1" "-b 7" "--decode-after 6" "--decode-after 14"; do
  # shellcheck disable=SC2086
  expect_ok $logits --image "$png" --tokens "$ids" $more
  close_to "$work/l.f32" "$golden/mixed.logits.f32" 1e-5
done
rm -f "$work/l.f32"
# shellcheck disable=SC2086
{
  expect_error 2 'places for 1 pictures, but 0 --image' $logits --tokens "$ids"
  expect_error 2 'places for 1 pictures, but 2 --image' $logits --tokens "$ids" --image "$png" --image "$png"
  expect_error 2 'places for 0 pictures, but 1 --image' $logits --tokens "2 105" --image "$png"
  expect_error 2 'decode-after is 5, but a picture follows' $logits --tokens "$ids" --image "$png" --decode-after 5
  expect_error 2 'takes token ids, but "<imag>" is none' $logits --tokens "2 <imag>" --image "$png"
  expect_error 2 'takes token ids, but "<image>5" is none' $logits --tokens "2 <image>5" --image "$png"
}
[ ! -e "$work/l.f32" ] || fail "a failed logits left its file"

# ---- run

# n_prompt ARGS...: positions of the prompt
n_prompt() {
  expect_ok run -m "$tiny" -n 1 --temp 0 --ids --ignore-eos --device cpu --timings "$@"
  sed -n 's/^prompt *\([0-9]*\) tokens.*/\1/p' "$work/err"
}
text=$(n_prompt --raw -p 'abc')
one=$(n_prompt --raw -p 'abc' --image "$work/dot.ppm")
[ $((one - text)) -ge 20 ] || fail "a picture of 16 rows with its markers takes $((one - text)) positions"
two=$(n_prompt --raw -p 'abc' --image "$work/dot.ppm" --image "$work/board.ppm")
[ $((two - one)) -ge 19 ] || fail "a second picture takes $((two - one)) positions"

# answer ARGS...: ids that are generated
answer() {
  expect_ok run -m "$tiny" -n 8 --temp 0 --ids --ignore-eos --no-perf --device cpu "$@"
  cat "$work/out"
}
# Without a marker the picture comes before the first word; markers say it themselves.
first=$(answer -p 'abc def' --image "$png")
[ "$(echo "$first" | wc -w)" -eq 8 ] || fail "8 ids were asked for: $first"
expect_text "<image> at the start" "$first" "$(answer -p '<image>abc def' --image "$png")"
expect_text "<start_of_image> at the start" "$first" "$(answer -p '<start_of_image>abc def' --image "$png")"
expect_text "in chunks" "$first" "$(answer -p 'abc def' --image "$png" -b 3)"
expect_text "the encoder by name" "$first" "$(answer -p 'abc def' --image "$png" --mmproj "$work/mmproj-tiny.gguf")"
[ "$first" != "$(answer -p 'abc def' --image "$work/black.ppm")" ] || fail "another picture, the same answer"
[ "$first" != "$(answer -p 'abc def')" ] || fail "no picture, the same answer"
raw=$(answer --raw -p 'abc <image>def' --image "$png")
expect_text "the other marker, raw" "$raw" "$(answer --raw -p 'abc <start_of_image>def' --image "$png")"
[ "$raw" != "$(answer --raw -p '<image>abc def' --image "$png")" ] || fail "a picture's place changes nothing"
both=$(answer -p '<image>a<image>b' --image "$png" --image "$work/black.ppm")
[ "$both" != "$(answer -p '<image>a<image>b' --image "$work/black.ppm" --image "$png")" ] ||
  fail "the order of two pictures changes nothing"

# Long pictures are shown in windows too.
n=$(n_prompt -p 'abc' --image "$work/long.ppm")
windows=$(n_prompt -p 'abc' --image "$work/long.ppm" --pan-and-scan)
[ $((windows - n)) -ge 38 ] || fail "--pan-and-scan of 900 x 300 pixels adds $((windows - n)) positions"
expect_text "windows of a square picture" "$(answer -p 'abc' --image "$png")" \
  "$(answer -p 'abc' --image "$png" --pan-and-scan)"

run="run -m $tiny --device cpu"
# shellcheck disable=SC2086
{
  expect_error 2 'places for 2 pictures, but 1 --image' $run -p '<image>a<image>' --image "$png"
  expect_error 2 'places for 1 pictures, but 2 --image' $run -p 'a<image>' --image "$png" --image "$png"
  expect_error 2 'pan-and-scan needs an --image' $run -p a --pan-and-scan
  expect_error 2 'prompt is empty' $run -p '' --image "$png"
  expect_error 2 '\-\-image is not a flag of bench' bench -m "$tiny" --image "$png"
  expect_error 7 'prompt has [0-9]+ tokens, but the context holds 16' $run -p a --image "$png" -c 16
}

# ---- encoders that do not fit

mkdir "$work/alone"
cp "$model" "$work/alone/model.gguf"
expect_error 2 'no image encoder beside the model' run -m "$work/alone/model.gguf" -p a --image "$png" --device cpu
expect_error 6 'makes rows of 128 values' run -m "$golden/small-f16.gguf" -p a --image "$png" --mmproj "$mmproj" --device cpu
expect_error 3 'No such file' run -m "$model" -p a --image "$png" --mmproj "$work/none.gguf" --device cpu
expect_error 5 'gemma3|encoder|clip' run -m "$model" -p a --image "$png" --mmproj "$model" --device cpu
expect_error 4 'GGUF' run -m "$model" -p a --image "$png" --mmproj "$png" --device cpu
head -c 3000 "$mmproj" >"$work/cut.gguf"
expect_error 4 'truncated|damaged|beyond|ends' run -m "$model" -p a --image "$png" --mmproj "$work/cut.gguf" --device cpu
expect_error 3 'directory' run -m "$model" -p a --image "$png" --mmproj "$work" --device cpu
cp "$work/mmproj-tiny.gguf" "$work/tiny-mmproj.gguf"
expect_error 2 '2 files may be the image encoder' run -m "$tiny" -p a --image "$png" --device cpu
rm "$work/tiny-mmproj.gguf"

# ---- files that are no pictures

expect_error 3 'No such file' run -m "$tiny" -p a --image "$work/none.png" --device cpu
expect_error 3 'directory' run -m "$tiny" -p a --image "$work" --device cpu
: >"$work/empty.png"
expect_error 4 'empty' run -m "$tiny" -p a --image "$work/empty.png" --device cpu
echo 'This is a text, and no picture at all.' >"$work/text.png"
expect_error 5 'in no known format' run -m "$tiny" -p a --image "$work/text.png" --device cpu
for n in 1 7 20 33 60 1000 2311; do
  head -c $n "$png" >"$work/cut.png"
  expect_error 4 'cut.png' run -m "$tiny" -p a --image "$work/cut.png" --device cpu
done
printf 'P6\n100000 100000\n255\n' >"$work/huge.ppm"
expect_error 4 'huge.ppm' run -m "$tiny" -p a --image "$work/huge.ppm" --device cpu
printf 'P6\n4294967297 1\n255\nabc' >"$work/wide.ppm"
expect_error 4 'wide.ppm' run -m "$tiny" -p a --image "$work/wide.ppm" --device cpu
# The same picture in another format.
expect_text "WebP" "$(answer -p 'abc def' --image "$PERIDOT_TEST_DATA/images/small.png")" \
  "$(answer -p 'abc def' --image "$PERIDOT_TEST_DATA/images/lossless.webp")"

# One bad picture among good ones, and before the model is even looked at.
expect_error 4 'empty.png' run -m "$work/none.gguf" -p a --image "$png" --image "$work/empty.png" --device cpu
finish
