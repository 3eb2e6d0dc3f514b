#!/usr/bin/env python3
"""`peridot chat` on a terminal: types what a user would and reads what is shown. Usage: chat_pty.py.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import signal
import stat
import sys
import time

from chat_pty import LIBEDIT, NO_END, SHORT, SLOW, FOLDER, Chat, check, figures, says, shown, run, tests_of

# ---- turns --------------------------------------------------------------------------------------


def test_reuse():
    """Every turn computes what is new in it, and nothing else."""
    chat = Chat(*SHORT, "-c", "2048")
    prompt, reused, answer = figures(chat.line("Hello there, who are you?"))
    check(reused == 0 and answer == 12, "the first turn")
    for question in ["why", "a longer question, of several words", "x", "and\ttabs"]:
        before = prompt + answer - 1  # the last token was drawn, not computed
        prompt, reused, answer = figures(chat.line(question))
        check(reused == before, f"{question!r} reused {reused} of {before} tokens")
    text = says(chat, "/stats", r"context +\d+ of 2048 tokens, 5 questions")
    check(f"{reused} reused" in text, "/stats and the last answer", text)
    chat.quit()


def test_stop_strings():
    """An answer that a stop string cut is spelled by its tokens, and most of them stay."""
    chat = Chat("-n", "40", "--temp", "0", "--timings", *NO_END, "-p", "hello")
    letters = [c for c in shown(chat.seen) if c.isalnum()]
    chat.quit()
    if not letters:
        return
    chat = Chat("-n", "40", "--temp", "0", "--timings", *NO_END, "--stop", letters[-1])
    prompt, _, _ = figures(chat.line("hello"))
    _, reused, _ = figures(chat.line("again"))
    check(reused >= prompt, f"behind a stop string {reused} tokens were reused of more than {prompt}")
    chat.quit()


def test_commands():
    chat = Chat(*SHORT, "-c", "2048")
    text = chat.line("/help")
    for name in "help image system reset regen undo edit save load set stats multiline quit".split():
        check(f"/{name} " in text, f"/help without /{name}", text)
    says(chat, "/undo", "there is no question yet")
    says(chat, "/regen", "there is no question yet")
    says(chat, "/edit", "there is no question yet")
    says(chat, "/hlp", "no command /hlp.*did you mean /help")
    says(chat, "/xyzzy", "no command /xyzzy.*/help lists them")
    says(chat, "/stats now", "/stats takes nothing behind it")
    says(chat, "/image", "/image needs a FILE")
    says(chat, "/image nothing.png", "without an image encoder")

    first = chat.line("hello")
    again = chat.line("/regen")
    check(figures(again)[1] >= figures(first)[0] - 1, "/regen computed the question again", again)
    check(shown(first) != shown(again), "/regen draws the same", first + again)
    says(chat, "/stats", "1 question\\b")
    chat.line("second")
    says(chat, "/undo", "are gone; 1 left")
    check(figures(chat.line("second"))[1] > figures(first)[0], "/undo forgot more than a turn")
    says(chat, "/system Be brief.", "the system prompt is set")
    check(figures(chat.line("third"))[1] < 10, "a new system prompt, and nothing was computed again")
    says(chat, "/system", "there is no system prompt")
    says(chat, "/reset", "begins anew")
    check(figures(chat.line("hello"))[0] == figures(first)[0], "/reset leaves something")
    chat.quit()


def test_edit():
    chat = Chat(*SHORT)
    first = figures(chat.line("hello"))[0]
    chat.type("/edit\r")
    if LIBEDIT:
        chat.expect("you> hello")
        chat.type("!\r")
    else:
        chat.expect("hello\n.*you> ")
        chat.type("hello!\r")
    chat.expect("model> ")
    text = chat.expect(r"prompt (.*)\nyou> ").group(0)
    check(figures(text)[0] == first + 1, "the edited question", text)
    says(chat, "/stats", "1 question\\b")
    chat.type("/edit\r")
    chat.expect("you> hello!" if LIBEDIT else "hello!\n.*you> ")
    time.sleep(0.3)
    chat.type("\x03")
    chat.expect("you> ")
    says(chat, "/stats", "1 question\\b")  # nothing is lost by looking
    chat.quit()


def test_settings():
    chat = Chat(*SHORT)
    says(chat, "/set", r"temp +1\n.*top-k +64\n.*top-p +0.95\n.*seed +5\n.*predict +12\n")
    says(chat, "/set temp", r"temp +1\n")
    says(chat, "/set n 3", r"predict +3\n")
    check(figures(chat.line("hello"))[2] == 3, "/set n")
    for name, value in [("top_k", 8), ("top-p", 0.5), ("min-p", 0.25), ("seed", 77), ("repeat-penalty", 1.5),
                        ("repeat-last-n", -1), ("presence-penalty", -1.5), ("frequency-penalty", 0.5),
                        ("max-tokens", 2)]:
        says(chat, f"/set {name} {value}", rf" {value}\n")
    says(chat, "/set temp 1001", "temp must be from 0 to 1000, but is 1001")
    says(chat, "/set presence-penalty 2.5", "presence-penalty must be from -2 to 2")
    says(chat, "/set frequency-penalty -3", "frequency-penalty must be from -2 to 2")
    says(chat, "/set repeat-penalty -1", "repeat-penalty must be from 0 to 1000")
    says(chat, "/set repeat-last-n -2", "repeat-last-n must be from -1")
    says(chat, "/set top-k 1.5", "top-k takes a whole number")
    says(chat, "/set temp hot", "temp takes a number")
    says(chat, "/set temp 1 2", "takes a name and one value")
    says(chat, "/set topp 1", 'no setting "topp".*did you mean top-p')
    says(chat, "/set colour 1", 'no setting "colour".*/set lists them')
    says(chat, "/set top-k", r"top-k +8\n")
    chat.quit()


def test_seeds():
    """The same seed draws the same conversation."""
    chat = Chat(*SHORT)
    first = chat.line("hello")
    chat.line("/reset")
    chat.line("/set seed 5")
    second = chat.line("hello")
    check(shown(first) == shown(second), "a seed set again", first + second)
    chat.quit()


# ---- pictures -----------------------------------------------------------------------------------

def test_pictures():
    folder = os.environ["PERIDOT_TEST_DATA"]
    picture = os.path.join(FOLDER, "small.png")
    shutil.copy(os.path.join(folder, "images/small.png"), picture)
    broken = os.path.join(FOLDER, "broken.png")
    with open(broken, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\nno picture")
    chat = Chat(*SHORT, model=os.path.join(folder, "golden/mm-q4_0.gguf"))
    says(chat, f"/image {broken}", "peridot: .*broken.png")
    says(chat, "/image /nonexistent.png", "peridot: .*nonexistent.png.*No such file")
    says(chat, f"/image {FOLDER}", "peridot: .*")
    says(chat, f"/image {picture}", "1 picture goes with")
    says(chat, f"/image '{picture}'", "2 pictures go with")
    says(chat, "<image> what", "places for 1 pictures, but 2 are attached")
    prompt, reused, answer = figures(chat.line("what are <image> and <image> this"))
    check(prompt > 8 and reused == 0, "a picture in a question")
    _, reused, _ = figures(chat.line("and more"))
    check(reused == prompt + answer - 1, f"behind a picture {reused} of {prompt + answer - 1} are reused")
    saved = os.path.join(FOLDER, "pictures.json")
    says(chat, f"/save {picture}", "peridot: .*small.png")
    says(chat, f"/save {saved}", "is in")
    says(chat, f"/load {saved}", "2 questions with answers")
    with open(saved) as f:
        root = json.load(f)
    image = root["turns"][0]["images"][0]
    check(image["path"] == picture and len(image["sha256"]) == 64 and
          image["bytes"] == os.path.getsize(picture), f"a saved picture: {image}")
    image["sha256"] = "0" * 64
    with open(saved, "w") as f:
        json.dump(root, f)
    says(chat, f"/load {saved}", "is another one than the conversation was saved with")
    says(chat, "/stats", "2 questions")
    chat.quit()


# ---- the line -----------------------------------------------------------------------------------

def test_paste():
    """A pasted text is one message, whatever is in it."""
    if not LIBEDIT:
        chat = Chat(*SHORT, term="xterm-nothing")
    else:
        chat = Chat(*SHORT)
    chat.type("\x1b[200~first line\rsecond line\r\r/quit\rlast \x01one\x1b[201~")
    time.sleep(0.3)
    text = chat.line("")
    check(figures(text)[2] == 12, "a pasted text", text)
    says(chat, "/stats", "1 question\\b")
    saved = os.path.join(FOLDER, "pasted.json")
    chat.line(f"/save {saved}")
    with open(saved) as f:
        turns = json.load(f)["turns"]
    check(turns[0]["text"] == "first line\nsecond line\n\n/quit\nlast one", f"a pasted text: {turns}")
    chat.quit()


def saved_question(chat):
    path = os.path.join(FOLDER, "question.json")
    chat.line(f"/save {path}")
    with open(path) as f:
        return json.load(f)["turns"][-2]["text"]


def test_multiline():
    chat = Chat(*SHORT)
    says(chat, "/multiline", "an empty line or Ctrl-D sends")
    chat.type("one\r")
    chat.type("two\r")
    time.sleep(0.3)
    figures(chat.line(""))
    check(saved_question(chat) == "one\ntwo", "lines up to an empty one")
    chat.type("three\r")
    time.sleep(0.3)
    chat.type("four")
    time.sleep(0.3)
    chat.type("\x04" if LIBEDIT else "\r\x04")
    chat.expect("answer 12 tokens.*you> ")
    check(saved_question(chat) == "three\nfour", "lines up to Ctrl-D")
    says(chat, "/multiline", "Enter sends")
    figures(chat.line("five"))
    chat.quit()
    chat = Chat(*SHORT, "-mli")
    chat.type("one\r")
    chat.type("two\r")
    time.sleep(0.3)
    figures(chat.line(""))
    check(saved_question(chat) == "one\ntwo", "--multiline-input")
    chat.quit()


def test_editing():
    """What libedit does: new lines, completion, history."""
    chat = Chat(*SHORT)
    chat.type("one\x1b\rtwo")
    time.sleep(0.3)
    figures(chat.line(""))
    check(saved_question(chat) == "one\ntwo", "Alt-Enter")
    chat.type("/he\t")
    chat.expect("/help")
    check("this list" in chat.line(""), "a completed command")
    os.makedirs(os.path.join(FOLDER, "a folder/inner"), exist_ok=True)
    with open(os.path.join(FOLDER, "a folder/unique-äöü.json"), "w") as f:
        f.write("{}")
    chat.type(f"/load {FOLDER}/a f\t")
    chat.expect("a folder/")
    chat.type("u\t")
    chat.expect("unique-äöü.json")
    check("no conversation" in chat.line(""), "a completed file name")
    chat.type("/s\t")
    chat.expect("system.*set.*stats.*save")
    chat.type("\x15/set top\t\t")
    chat.expect("top-k +top-p")
    chat.type("\x15/set see\t")
    chat.expect("seed ")
    chat.type("\x15")
    chat.type("\x1b[A\x1b[A")
    time.sleep(0.3)
    chat.type("\r")
    chat.expect("you> ")
    chat.type("café 😀 x\x7fy")
    time.sleep(0.3)
    figures(chat.line(""))
    check(saved_question(chat) == "café 😀 y", "characters of several bytes")
    chat.quit()
    path = os.path.join(FOLDER, "state/peridot/chat_history")
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, f"the history's mode: {os.stat(path).st_mode:o}")
    lines = open(path).read().split("\n")
    check("one\\ntwo" in lines and "/help" in lines, f"the history: {lines}")
    chat = Chat(*SHORT)
    chat.type("\x1b[A" * 3)
    chat.expect("😀")
    chat.type("\x15")
    chat.quit()
    with open(path, "w") as f:
        f.writelines(f"line {i}\n" for i in range(3000))
    Chat(*SHORT).quit()
    kept = open(path).read().split("\n")
    check(kept[0] == "line 2000" and "line 2999" in kept, f"a long history begins with {kept[0]}")
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "the history's mode after it was cut")


# ---- ends ---------------------------------------------------------------------------------------

def test_interrupt():
    chat = Chat(*NO_END, "-c", "0", "--timings", "--temp", "1", model=SLOW)
    chat.type("hello\r")
    chat.expect("model> .{100}")
    chat.type("\x03")
    prompt, _, answer = figures(chat.expect(r"prompt .*\nyou> ").group(0))
    says(chat, "/stats", "1 question\\b")
    chat.type("more\r")
    chat.expect("model> .{100}")
    chat.type("\x03")
    text = chat.expect(r"prompt .*\nyou> ").group(0)
    check(prompt + answer - 1 <= figures(text)[1] <= prompt + answer,
          f"behind an interrupted answer: {figures(text)} of {prompt} + {answer}")
    chat.type("text")
    time.sleep(0.3)
    chat.type("\x03")
    chat.expect("you> ")
    if LIBEDIT:  # otherwise nobody knows of the text
        says(chat, "/stats", "2 questions")
    time.sleep(0.3)
    chat.type("\x03")
    if LIBEDIT:
        chat.expect("Ctrl-C again leaves.*you> ")
        time.sleep(0.3)
        chat.type("\x03")
    chat.end(0)


def test_end_of_input():
    chat = Chat(*SHORT)
    chat.type("\x04")
    chat.end(0)
    chat = Chat(*SHORT)
    chat.line("hello")
    chat.type("\x04")
    chat.end(0)


def test_terminal_gone():
    for action in ("hangup", "close", "close in an answer", "terminate"):
        chat = Chat(*NO_END, "-c", "0", model=SLOW)
        if "answer" in action:
            chat.type("hello\r")
            chat.expect("model> .{100}")
        time.sleep(0.2)
        if action == "hangup":
            os.kill(chat.pid, signal.SIGHUP)
        elif action == "terminate":
            os.kill(chat.pid, signal.SIGTERM)
        else:
            os.close(chat.fd)
            chat.fd = -1
        code = chat.end(None)
        check(code in (0, 3, 130), f"{action}: ended with {code}")
    # hangups ignored, as under nohup: the input's end, or output that fails, ends it
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for asks in (False, True):
        chat = Chat(*NO_END, "-c", "0", model=SLOW)
        if asks:
            chat.type("hello\r")
            chat.expect("model> .{100}")
        os.close(chat.fd)
        chat.fd = -1
        check(chat.end(None) in (0, 3), "a terminal gone without a signal")
    signal.signal(signal.SIGHUP, previous)


def test_output_elsewhere():
    """Answers alone go to standard output; when nobody reads them any more, that is the end."""
    ours, theirs = os.pipe()
    chat = Chat(*SHORT, out=theirs)
    os.close(theirs)
    text = chat.line("hello")
    check("model>" not in text and "answer 12 tokens" in text, "beside the answer", text)
    answer = os.read(ours, 65536).decode()
    check(answer.endswith("\n") and "model>" not in answer and "\x1b" not in answer, "the answer", answer)
    os.close(ours)
    chat.type("again\r")
    chat.end(3)
    check("cannot write to standard output" in chat.seen, "a broken pipe", chat.seen)


def test_failures():
    """A failing turn is a sentence; the next one is asked as if nothing was."""
    bad = os.path.join(FOLDER, "nan.gguf")
    chat = Chat(*SHORT, model=bad)
    says(chat, "hello", "peridot: .*NaN")
    says(chat, "hello", "peridot: .*NaN")
    says(chat, "/stats", "0 questions")
    chat.quit()


def test_device_lost():
    """What no later turn could do without is the end. LOST_CALL: the Vulkan call that never ends."""
    if "LOST_CALL" not in os.environ:
        return
    chat = Chat(*SHORT, "--device", "vulkan:llvmpipe", PERIDOT_FAULT_CALL=os.environ["LOST_CALL"],
                PERIDOT_FAULT_HANG="1", PERIDOT_DEVICE_TIMEOUT="1")
    for _ in range(20):
        chat.type("hello\r")
        match = chat.expect(r"peridot: .* did not finish|answer 12 tokens.*you> ")
        if not match or "peridot" in match.group(0):
            break
    chat.end(12)


def test_full_context():
    chat = Chat("-n", "30", "--temp", "1", "--timings", "--seed", "1", *NO_END, "-c", "128")
    for _ in range(9):
        text = chat.line("hello there")
        if "peridot: " in text:
            break
    check(re.search("the conversation with this question has .* the context holds 128", text),
          "a full context", text)
    check("/undo and /reset make room" in text, "a full context's advice", text)
    n = int(re.search(r"(\d+) question", chat.line("/stats")).group(1))
    check(n >= 2, f"{n} questions are left in a full context")
    says(chat, "/undo", f"{n - 1} left")
    figures(chat.line("/regen"))  # the question that had no place
    says(chat, "/reset", "begins anew")
    figures(chat.line("hello"))
    long = "long " * 60
    says(chat, "/reset", "begins anew")
    says(chat, long, "the question has .* tokens, but the context holds 128")
    says(chat, f"/system {long}", "is set")
    says(chat, "hello", "the system prompt and the question have .* the context holds 128")
    chat.quit()
    chat = Chat("-n", "30", "--temp", "1", "--timings", "--seed", "1", *NO_END, "-c", "128", "--context-shift",
                "-sys", "Be brief.")
    gone = None
    for _ in range(9):
        text = chat.line("hello there")
        check("peridot: " not in text, "--context-shift", text)
        gone = gone or re.search(r"the oldest (\d+) turns went, and (\d+) tokens were computed again", text)
    check(gone and int(gone.group(1)) >= 2 and int(gone.group(2)) > 0, "--context-shift is silent", text)
    says(chat, "hello " * 60, "tokens, but the context holds 128")
    text = chat.line("/stats")
    check(int(re.search(r"(\d+) question", text).group(1)) >= 1, "what did not fit took all with it", text)
    chat.quit()


def test_colour():
    for arguments, environment, coloured in (([], {}, True), (["--color", "never"], {}, False),
                                             ([], {"NO_COLOR": "1"}, False),
                                             (["--color", "always"], {"NO_COLOR": "1"}, True)):
        chat = Chat(*SHORT, *arguments, "-p", "hello", **environment)
        check((b"\x1b[1;36mmodel>" in chat.raw) == coloured, f"colour with {arguments} {environment}",
              chat.raw.decode(errors="replace"))
        chat.quit()


def test_raw():
    chat = Chat(*SHORT, "--chat-template", "none")
    prompt, _, answer = figures(chat.line("Once upon a time"))
    longer, reused, _ = figures(chat.line(" there was"))
    check(reused == prompt + answer - 1 and longer > prompt + answer, "texts that go on")
    says(chat, "/system Be brief.", "without a chat template there is no system prompt")
    chat.quit()


def main():
    tests = tests_of(globals())
    if not LIBEDIT:
        tests.remove(test_editing)
    return run(tests)


if __name__ == "__main__":
    sys.exit(main())
