#!/usr/bin/env python3
"""/save and /load of `peridot chat`: words as JSON, and session files. Usage: chat_pty.py.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import sys

from chat_pty import NO_END, SHORT, MODEL, FOLDER, Chat, check, figures, says, shown, run, tests_of

# ---- files --------------------------------------------------------------------------------------

def test_save_and_load():
    saved = os.path.join(FOLDER, "saved.json")
    chat = Chat(*SHORT)
    chat.line("/system Be brief.")
    chat.line("hello")
    chat.line("/set temp 0.5")
    prompt, _, answer = figures(chat.line("a second one, with \"quotes\" and äöü"))
    says(chat, f"/save {saved}", "the conversation is in")
    says(chat, "/save /nonexistent/x.json", "peridot: cannot write")
    says(chat, f"/save {MODEL}", "peridot: .*model.gguf")
    if os.access("/dev/full", os.W_OK):
        full = os.path.join(FOLDER, "full.json")
        os.symlink("/dev/full", full)
        says(chat, f"/save {full}", "No space left")
        os.unlink(full)
    says(chat, "/save ~/home.json", "home.json")
    check(os.path.exists(os.path.join(FOLDER, "home.json")), "/save below ~")
    chat.quit()

    chat = Chat(*SHORT)
    says(chat, f"/load {saved}", "2 questions with answers")
    says(chat, "/set temp", r"temp +0.5\n")
    loaded, reused, _ = figures(chat.line("x"))
    check(reused == 0 and loaded > prompt + answer - 1, f"{loaded} tokens of a loaded conversation")
    says(chat, "/undo", "2 left")
    says(chat, "/load /nonexistent.json", "No such file")
    says(chat, f"/load {FOLDER}", "peridot: ")
    whole = open(saved).read()
    damaged = os.path.join(FOLDER, "damaged.json")

    def refuses(text, pattern="no conversation that can be read"):
        with open(damaged, "w") as f:
            f.write(text)
        says(chat, f"/load {damaged}", pattern)

    for n in [0, 1, 20, len(whole) // 3, len(whole) // 2, len(whole) - 3]:
        refuses(whole[:n])
    refuses(whole + "x")
    refuses("[]")
    refuses("{}")

    def change(edit, pattern="no conversation that can be read"):
        root = json.loads(whole)
        edit(root)
        refuses(json.dumps(root), pattern)

    change(lambda r: r.update(version=2), "unknown version")
    change(lambda r: r.update(format="other"), "another kind")
    change(lambda r: r.update(template="none"), "not saved with --chat-template gemma")
    change(lambda r: r.update(system=5), "system prompt is no text")
    change(lambda r: r.update(turns={}), "no list of turns")
    change(lambda r: r["turns"].pop(), "no answer")
    change(lambda r: r["turns"].pop(0), "a question was expected")
    change(lambda r: r["turns"][1].pop("ids"), "no tokens")
    change(lambda r: r["turns"][1]["ids"].append(99999999), "none of this model")
    change(lambda r: r["turns"][1]["ids"].append(-1), "no number")
    change(lambda r: r["turns"][1]["ids"].append(106), "none of this model")
    change(lambda r: r["turns"][1]["ids"].append(1.5), "no number")
    change(lambda r: r["turns"][0].update(images=1), "no list")
    change(lambda r: r["turns"][0].update(images=[{}]), "no path, sum or size")
    change(lambda r: r["settings"].update(temp=-1), "out of its range")
    change(lambda r: r["settings"].pop("seed"), "setting is missing")
    change(lambda r: r.update(n_drawn="x"), "number of draws")
    says(chat, "/stats", "2 questions")  # as before all of these
    chat.quit()


# ---- session files ------------------------------------------------------------------------------

def context(chat):
    """Tokens that the session holds."""
    return int(re.search(r"context +(\d+) of", chat.line("/stats")).group(1))


def stored(name):
    return os.path.join(FOLDER, name)


def test_session_files():
    """What was computed comes back: the next turn computes its question and nothing else."""
    saved = stored("saved")
    chat = Chat(*SHORT, "-c", "2048")
    chat.line("/system Be brief.")
    chat.line("hello")
    chat.line("/set temp 0.5")
    prompt, _, answer = figures(chat.line("a second one, with \"quotes\" and äöü"))
    says(chat, f"/save {saved}", "the conversation is in")
    check(open(saved, "rb").read(6) == b"PDSESS", "a session file's first bytes")
    first = chat.line("x")
    check(figures(first)[1] == prompt + answer - 1, "a turn behind /save computes something again", first)
    says(chat, "/save /nonexistent/x", "peridot: cannot write")
    says(chat, f"/save {MODEL}", "peridot: .*model.gguf")
    if os.access("/dev/full", os.W_OK):
        says(chat, "/save /dev/full", "No space left")
    chat.quit()

    renamed = stored("a-session.json")  # what a file is, its content says
    os.rename(saved, renamed)
    chat = Chat(*SHORT, "-c", "2048")
    chat.line("something else")
    text = says(chat, f"/load {renamed}", "2 questions with answers")
    check("again" not in text and "rounding" not in text, "what was computed is not used", text)
    says(chat, "/set temp", r"temp +0.5\n")
    text = chat.line("x")
    check(figures(text) == figures(first) and shown(text) == shown(first), "a loaded conversation",
          first + text)
    check(figures(chat.line("/regen"))[1] >= figures(first)[0] - 1, "/regen in a loaded conversation")
    chat.quit()

    for arguments, reason in ((["--precision", "exact"], "of another precision"),
                              (["--head", "q4_0"], "of another model, image encoder or head type"),
                              (["-c", "32"], "has room for 32")):
        chat = Chat(*SHORT, *arguments)
        text = says(chat, f"/load {renamed}", "2 questions with answers.*will be computed again: .*" + reason)
        if "-c" not in arguments:
            check(figures(chat.line("x"))[:2] == (figures(first)[0], 0), f"{arguments}: another prompt", text)
        chat.quit()
    chat = Chat(*SHORT, "--device", "cpu-ref")
    says(chat, f"/load {renamed}", "on another kind of device: rounding may differ")
    check(figures(chat.line("x"))[1] == figures(first)[1], "computed again on another kind of device")
    chat.quit()


def test_session_files_hold_the_conversation():
    """What was taken back is in no file, and what is left is there to the last token."""
    saved = stored("cut")
    chat = Chat(*SHORT, "-c", "256")

    def expect(n_questions, n_context):
        says(chat, f"/save {saved}", "is in")
        check(context(chat) == n_context, f"{context(chat)} tokens are saved of {n_context}")
        says(chat, f"/load {saved}", f"{n_questions} question")
        check(context(chat) == n_context, f"{context(chat)} tokens are loaded of {n_context}")

    expect(0, 0)
    prompt, _, answer = figures(chat.line("hello"))
    one = prompt + answer - 1
    expect(1, one)
    check(figures(chat.line("second"))[1] == one, "a file saved and loaded, and something is computed again")
    says(chat, "/undo", "1 left")
    expect(1, one)
    says(chat, "long " * 300, "but the context holds 256")  # a question that gets no answer
    expect(1, one)
    figures(chat.line("second"))
    chat.line("/system Be brief.")
    says(chat, f"/save {saved}", "is in")
    check(context(chat) < prompt, "another system prompt, and what followed the old one is saved")
    figures(chat.line("third"))
    says(chat, "/reset", "begins anew")
    expect(0, 0)
    json_file = stored("words.json")
    chat.line("one")
    chat.line(f"/save {json_file}")
    says(chat, "/reset", "begins anew")
    chat.line("a different one")
    says(chat, f"/load {json_file}", "1 question with")
    says(chat, f"/save {saved}", "is in")  # words alone: nothing of them is computed
    check(context(chat) < 20, "another conversation is saved with this one's words")
    says(chat, f"/load {saved}", "1 question with")
    figures(chat.line("two"))
    chat.quit()


def test_session_file_behind_ended_answers():
    """What an answer's end was computed of stays, though no logits were kept there."""
    saved = stored("ended")
    chat = Chat("-n", "60", "--temp", "1", "--seed", "5", "--timings", "-l", "1-inf", "-l", "106+14", "-c", "2048")
    prompt, _, answer = figures(chat.line("hello"))
    check(2 < answer < 60, f"an answer that ends by itself, of {answer} tokens")
    chat.line("second")
    says(chat, "/undo", "1 left")
    says(chat, f"/save {saved}", "is in")
    says(chat, f"/load {saved}", "1 question with answers")
    check(context(chat) == prompt + answer - 1, f"{context(chat)} tokens are left of {prompt} + {answer} - 1")
    chat.quit()


def test_session_file_of_a_full_context():
    """An answer that took the last position is saved but for its last token, which has none."""
    saved = stored("full")
    chat = Chat("--temp", "1", "--seed", "3", "--timings", *NO_END, "-c", "64")
    prompt, _, answer = figures(chat.line("hello"))
    check(prompt + answer == 65, f"a context of 64 with {prompt} + {answer} tokens")
    says(chat, f"/save {saved}", "is in")
    says(chat, f"/load {saved}", "1 question with answers")
    check(context(chat) == 64, f"{context(chat)} tokens of a full context are saved")
    check(figures(chat.line("/regen"))[1] == prompt, "/regen in a full context")
    chat.quit()


def test_session_files_with_pictures():
    """Nobody needs the pictures any more."""
    folder = os.environ["PERIDOT_TEST_DATA"]
    model = os.path.join(folder, "golden/mm-q4_0.gguf")
    picture, saved = stored("gone.png"), stored("pictures")
    shutil.copy(os.path.join(folder, "images/small.png"), picture)
    chat = Chat(*SHORT, model=model)
    says(chat, f"/image {picture}", "1 picture goes with")
    says(chat, f"/image {picture}", "2 pictures go with")
    prompt, _, answer = figures(chat.line("what are <image> and <image> this"))
    says(chat, f"/save {picture}", "peridot: .*gone.png")
    os.unlink(picture)
    says(chat, f"/save {saved}", "is in")
    chat.quit()
    chat = Chat(*SHORT, model=model)
    says(chat, f"/load {saved}", "1 question with")
    says(chat, f"/save {saved}", "is in")
    says(chat, f"/load {saved}", "1 question with")
    text = chat.line("and more")
    check(figures(text)[1] == prompt + answer - 1, "behind a loaded picture something is computed again", text)
    chat.line(f"/save {stored('paths.json')}")
    says(chat, f"/load {stored('paths.json')}", "gone.png.*No such file")
    says(chat, "/stats", "2 questions")
    chat.quit()


def test_damaged_session_files():
    saved, damaged = stored("whole"), stored("damaged")
    chat = Chat(*SHORT)
    chat.line("hello")
    chat.line(f"/save {saved}")
    chat.line("second")
    with open(saved, "rb") as f:
        whole = f.read()
    n, n_context = len(whole), context(chat)

    def refuses(data, pattern):
        with open(damaged, "wb") as f:
            f.write(data)
        says(chat, f"/load {damaged}", pattern)

    refuses(whole[:3], "no conversation that can be read")
    for at in (6, 8, 100, n // 2, n - 1):
        refuses(whole[:at], "damaged|no session file")
        if at >= 8:
            refuses(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:], "damaged: its checksum")
    refuses(b"PDSESS01" + whole[8:], "of a version that this Peridot does not read")
    check(context(chat) == n_context, "a damaged file changed the session")
    says(chat, "/stats", "2 questions")
    chat.quit()


if __name__ == "__main__":
    sys.exit(run(tests_of(globals())))
