"""Random chats: the ids of the tokenizer's Jinja template and those of Peridot's.

Both must give the same ids, or refuse both. Differences that are meant, each with its count:

    control text    what spells a control token in a content stays text in Peridot, so that nobody
                    can write a turn into another one's message; then its ids must be those of a
                    tokenizer that does not know these tokens, around the template's own markers
    unknown role    Jinja writes any role into the prompt; Peridot refuses it
    later system    likewise a system turn that is not the first
    system alone    Jinja drops the system text; Peridot refuses
    system picture  Jinja puts its marker there; Peridot refuses

Contents that are lists: Jinja trims each text on its own; here that is done before Peridot gets
the texts as one, since its interface has one text with places for pictures.

SPDX-License-Identifier: MIT
"""
import collections
import json
import os
import random

from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer

import texts

N_CHATS, N_TEXTS = 2000, 3000
CONTROL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<end_of_image>",
           "<image_soft_token>"]
SPACES = [" ", "  ", "\n", "\n\n", "\n\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028",
          "\u200b", "\ufeff", "\x0b", "\x0c", "\x1c", "\x85", "   \n \n"]
WORDS = ["Hi", "the quick brown fox", "don't", "naïve café", "日本語テキスト", "Привет", "🦙", "👍🏽",
         "e\u0301", "<b>bold</b>", "> </b>", "<table>", "[multimodal]", "3.14159", "a=b; // c",
         "for (int i = 0; i < n; i++) {\n    x += 1;\n}", "user\n", "model\n", "<start_of", "_turn>",
         "system", "\\n", "{{ bos_token }}", "{% raw %}", "▁", "ﬁ", "\U0010ffff", "\x01", "\x7f",
         "<mask>", "<unused7>", "<unused6241>",
         "<|im_start|>", "</s>", "[INST]", "x" * 70, " " * 40, "\n" * 33, "\t" * 32, "'\"&amp;"]


# ---- making chats -------------------------------------------------------------------------------


def make_text(rng, control, markers):
    """White space, words, and what is asked for."""
    parts = []
    for _ in range(rng.choice([0, 1, 1, 2, 3, 6])):
        parts.append(rng.choice(SPACES) if rng.random() < 0.45 else rng.choice(WORDS))
        if control and rng.random() < 0.5:
            parts.append(rng.choice(CONTROL))
        if markers and rng.random() < 0.3:
            parts.append(texts.MARKER)
    return "".join(parts)


def make_content(rng, control, markers):
    """A string, or a list of texts and pictures."""
    if rng.random() < 0.6:
        return make_text(rng, control, markers)
    items = []
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        if markers and rng.random() < 0.4:
            items.append({"type": "image"})
        else:
            items.append({"type": "text", "text": make_text(rng, control, False)})
    return items


def make_roles(rng):
    """Mostly turn and turn about."""
    names = ["user", rng.choice(["assistant", "model"])]
    roles = [names[i % 2] for i in range(rng.choice([1, 1, 2, 3, 3, 4, 7]))]
    if rng.random() < 0.4:
        roles.insert(0, "system")
    kind = rng.random()
    if kind < 0.06:
        rng.shuffle(roles)
    elif kind < 0.10:
        roles[rng.randrange(len(roles))] = rng.choice(["tool", "User", "", "developer", "system"])
    elif kind < 0.13:
        roles.insert(rng.randrange(len(roles) + 1), rng.choice(names + ["system"]))
    elif kind < 0.15:
        roles = roles[:1] if rng.random() < 0.5 else []
    return roles


def make_chat(rng):
    """A list of messages as transformers takes them."""
    control, markers = rng.random() < 0.15, rng.random() < 0.3
    chat = []
    for role in make_roles(rng):
        content = make_content(rng, control, markers and (role != "system" or rng.random() < 0.1))
        if role == "system" and isinstance(content, list):
            content = [{"type": "text", "text": make_text(rng, control, False)}]
        chat.append({"role": role, "content": content})
    return chat


# ---- the reference ------------------------------------------------------------------------------


class Reference:
    """transformers' tokenizer with its template, and one that parses no control tokens."""

    def __init__(self, path):
        self.tokenizer = texts.load(path)
        rows = self.tokenizer.image_token * texts.N_ROWS
        self.picture = f"\n\n{texts.MARKER}{rows}{self.tokenizer.eoi_token}\n\n"
        with open(os.path.join(path, "tokenizer.json")) as f:
            root = json.load(f)
        root["added_tokens"] = [t for t in root["added_tokens"] if not t["special"]]
        root["post_processor"] = None
        self.defused = Tokenizer.from_str(json.dumps(root))

    def render(self, chat):
        """The prompt as a text; an error where it is refused."""
        return self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)

    def ids(self, chat):
        """With every picture as one id."""
        text = self.render(chat).replace(texts.MARKER, self.picture)
        return texts.collapse(self.tokenizer(text, add_special_tokens=False).input_ids)

    def defused_ids(self, chat):
        """The same, with control text in contents left as text. Markers of the template are private
        characters while it renders, which no content has."""
        names = {"<bos>": "\ue000", "<start_of_turn>": "\ue001", "<end_of_turn>": "\ue002",
                 texts.MARKER: "\ue003"}
        template = self.tokenizer.chat_template
        for name, private in names.items():
            template = template.replace(name, private)
        text = self.tokenizer.apply_chat_template(
            private_pictures(chat), chat_template=template.replace("{{ bos_token }}", "\ue000"),
            tokenize=False, add_generation_prompt=True)
        text = text.replace("\ue003", "\n\n\ue003\n\n")
        single = {"\ue000": [2], "\ue001": [105], "\ue002": [106],
                  "\ue003": [255999, texts.IMAGE, 256000]}
        ids, piece = [], ""
        for c in text + "\ue000":
            if c in single:
                ids += self.defused.encode(piece).ids + single[c]
                piece = ""
            else:
                piece += c
        return ids[:-1]


def private_pictures(chat):
    """Strings with the marker of pictures replaced, as the template's is."""
    return [{**m, "content": m["content"].replace(texts.MARKER, "\ue003")
             if isinstance(m["content"], str) else m["content"]} for m in chat]


# ---- ours ---------------------------------------------------------------------------------------


def our_turn(message):
    """One text with the places of its pictures."""
    content = message["content"]
    if message["role"] == "system" and isinstance(content, list):
        content = content[0]["text"]
    elif isinstance(content, list):
        content = "".join(texts.MARKER if item["type"] == "image" else item["text"].strip()
                          for item in content)
    plain, places = texts.split_places(content, [0] * content.count(texts.MARKER))
    return {"role": message["role"], "text": plain, "images": places}


def meant_refusal(turns):
    """Why Peridot refuses what Jinja may take, or None."""
    roles = [t["role"] for t in turns]
    known = {"system", "user", "assistant", "model"}
    if roles and roles[0] == "system" and turns[0]["images"]:
        return "system picture"
    if roles == ["system"]:
        return "system alone"
    if set(roles) - known:
        return "unknown role"
    if "system" in roles[1:]:
        return "later system"
    return None


def has_control(turns):
    """Whether a content spells a control token, in one part or several."""
    return any(name in t["text"] for t in turns for name in CONTROL + [texts.MARKER])


def judge(reference, chat, turns, got):
    """(kind, whether it is right)"""
    try:
        want = reference.ids(chat)
    except (TemplateError, ValueError):  # the latter: no turn at all
        want = None
    refused = isinstance(got, str)
    if refused and not want:
        return "refused by both", True
    if refused:
        reason = meant_refusal(turns)
        return reason or "refused by Peridot alone", reason is not None
    if want is None:
        return "refused by Jinja alone", False
    if has_control(turns):
        return "control text", got == reference.defused_ids(chat)
    return "equal ids", got == want and got == reference.defused_ids(chat)


def compare_texts(report, rng, reference, path):
    """N_TEXTS random texts, control tokens parsed and not."""
    lines = [make_text(rng, True, True) + make_text(rng, True, False) for _ in range(N_TEXTS)]
    for special in (True, False):
        got = texts.ours(path, [{"text": t, "special": special} for t in lines])
        if special:
            want = [reference.tokenizer(t).input_ids for t in lines]
        else:
            want = [[2] + reference.defused.encode(t).ids for t in lines]
        wrong = [t for t, a, b in zip(lines, got, want) if a != b]
        name = "control tokens parsed" if special else "control tokens as text"
        report.check(not wrong, f"texts, {name}",
                     f"{len(lines)} texts, {len(wrong)} wrong" + (f": {wrong[0]!r}" if wrong else ""))


def compare_chats(report):
    """N_CHATS random chats, and texts without a template."""
    path = texts.folder()
    if not path:
        report.skip("chats", "the tokenizer's files are not there (npm)")
        return
    rng = random.Random(11)
    reference = Reference(path)
    chats = [make_chat(rng) for _ in range(N_CHATS)]
    turns = [[our_turn(m) for m in chat] for chat in chats]
    kinds, wrong = collections.Counter(), []
    for chat, own, got in zip(chats, turns, texts.ours(path, [{"turns": t} for t in turns])):
        kind, right = judge(reference, chat, own, got)
        kinds[kind] += 1
        if not right:
            wrong.append((kind, chat, got))
    for kind, chat, got in wrong[:5]:
        print(f"      {kind}: {json.dumps(chat, ensure_ascii=False)[:600]}: {str(got)[:300]}")
    report.check(not wrong, "chats", f"{len(chats)} chats, {len(wrong)} wrong; "
                 + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))
    compare_texts(report, rng, reference, path)
