"""Questions and their one right answer, several to a conversation.

Every function ask_... takes a random generator and the conversation's state, and returns a Turn or
None where its question makes no sense. Answers follow from the question and what came before it
alone, so that they can be compared word for word.

SPDX-License-Identifier: MIT
"""
import dataclasses

import facts
import pictures as pics


@dataclasses.dataclass
class Turn:
    kind: str
    question: str
    answer: str
    short: str = ""        # the answer in one word, where there is one
    images: list = None    # scenes that come with the question


class State:
    """What was said so far."""

    def __init__(self):
        self.scenes = []       # pictures shown, at most two at once
        self.topic = None      # an item of the picture that was asked about
        self.memory = {}       # name, pet, colour, number
        self.last = None       # (kind, value) of the last answer, for questions that refer to it


def number(n):
    return facts.NUMBERS[n]


def plural(shape, n):
    return shape if n == 1 else shape + ("es" if shape == "cross" else "s")


def upper_first(text):
    return text[:1].upper() + text[1:]


def an(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


# ---- describing pictures --------------------------------------------------------------------------

def item_text(item):
    return f"a {item.size} {item.colour} {item.shape}"


def place_text(item):
    return f"{item_text(item)} {pics.PLACES[item.place]}"


def join(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def text_kind(text):
    return "word" if text.isalpha() else "digit" if len(text) == 1 else "number"


def describe(scene):
    ground = f"on a {scene.background} background"
    if scene.text:
        return f"The {text_kind(scene.text)} {scene.text} in {scene.colour} {ground}."
    if len(scene.items) == 1:
        return upper_first(place_text(scene.items[0])) + f" {ground}."
    shapes = join([place_text(i) for i in scene.items])
    return f"{upper_first(number(len(scene.items)))} shapes {ground}: {shapes}."


def ask_describe(rng, s):
    q = rng.choice(["Describe the picture.", "What is in the picture?", "What do you see?",
                    "Describe this image.",
                    "What does the picture show?", "Tell me what you see."])
    return Turn("describe", q, describe(s.scenes[0]))


def ask_background(rng, s):
    c = s.scenes[0].background
    q = rng.choice(["What is the background?", "What colour is the background?", "Which colour is behind it?",
                    "What color is the background?"])
    return Turn("background", q, f"The background is {c}.", upper_first(c))


def ask_count(rng, s):
    items = s.scenes[0].items
    how = rng.random()
    if how < 0.4:
        n, what = len(items), "shape"
    elif how < 0.7:
        shape = rng.choice(items).shape if rng.random() < 0.8 else rng.choice(pics.SHAPES)
        n, what = sum(i.shape == shape for i in items), shape
    else:
        colour = rng.choice(items).colour if rng.random() < 0.8 else rng.choice(pics.COLOUR_NAMES)
        n, what = sum(i.colour == colour for i in items), f"{colour} shape"
    head, shape = what.rsplit(" ", 1) if " " in what else ("", what)
    many = (head + " " + plural(shape, 2)).strip()
    q = rng.choice(["How many {} are there?", "How many {} do you see?", "Count the {}.",
                    "How many {} are in the picture?"]).format(many)
    counted = (head + " " + plural(shape, n)).strip()
    answer = f"There {'is' if n == 1 else 'are'} {'no' if n == 0 else number(n)} {counted}."
    return Turn("count", q, answer, upper_first("none" if n == 0 else number(n)))


def one_of(rng, items, field):
    """An item whose field no other has, or None."""
    single = [i for i in items if sum(getattr(j, field) == getattr(i, field) for j in items) == 1]
    return rng.choice(single) if single else None


def ask_colour(rng, s):
    item = one_of(rng, s.scenes[0].items, "shape")
    if not item:
        return None
    s.topic = item
    q = rng.choice(["What colour is the {}?", "Which colour does the {} have?", "What color is the {}?",
                    "Tell me the colour of the {}."]).format(item.shape)
    return Turn("colour", q, f"The {item.shape} is {item.colour}.", upper_first(item.colour))


def ask_shape(rng, s):
    item = one_of(rng, s.scenes[0].items, "colour")
    if not item:
        return None
    s.topic = item
    q = rng.choice(["Which shape is {}?", "What is {}?", "What shape is the {} one?",
                    "Name the {} shape."]).format(item.colour)
    return Turn("shape", q, f"The {item.shape} is {item.colour}.", upper_first(item.shape))


def ask_where(rng, s):
    field = rng.choice(["shape", "colour"])
    item = one_of(rng, s.scenes[0].items, field)
    if not item:
        return None
    s.topic = item
    name = item.shape if field == "shape" else f"{item.colour} shape"
    q = rng.choice(["Where is the {}?", "In which place is the {}?", "Where do you see the {}?"]).format(name)
    return Turn("where", q, f"The {item.shape} is {pics.PLACES[item.place]}.")


def ask_place(rng, s):
    items = s.scenes[0].items
    place = rng.choice(items).place if rng.random() < 0.75 else rng.randrange(9)
    item = next((i for i in items if i.place == place), None)
    q = rng.choice(["What is {}?", "What do you see {}?", "Which shape is {}?"]).format(pics.PLACES[place])
    if not item:
        return Turn("place", q, "Nothing.", "Nothing")
    s.topic = item
    return Turn("place", q, upper_first(item_text(item)) + ".", upper_first(item.shape))


def ask_size(rng, s):
    item = one_of(rng, s.scenes[0].items, "shape")
    if not item:
        return None
    s.topic = item
    q = rng.choice(["Is the {} large or small?", "How big is the {}?",
                    "What size is the {}?"]).format(item.shape)
    return Turn("size", q, f"The {item.shape} is {item.size}.", upper_first(item.size))


def ask_is_there(rng, s):
    items = s.scenes[0].items
    if rng.random() < 0.5:
        item = rng.choice(items)
        colour, shape = item.colour, item.shape
    else:
        colour = rng.choice(items).colour if rng.random() < 0.5 else rng.choice(pics.COLOUR_NAMES)
        shape = rng.choice(items).shape if rng.random() < 0.5 else rng.choice(pics.SHAPES)
    yes = any((i.colour, i.shape) == (colour, shape) for i in items)
    q = rng.choice(["Is there {}?", "Do you see {}?",
                    "Does the picture show {}?"]).format(an(f"{colour} {shape}"))
    return Turn("yes or no", q, f"Yes, there is {an(f'{colour} {shape}')}." if yes else
                f"No, there is no {colour} {shape}.", "Yes" if yes else "No")


def ask_relation(rng, s):
    items = [i for i in s.scenes[0].items if sum(j.shape == i.shape for j in s.scenes[0].items) == 1]
    if len(items) < 2:
        return None
    a, b = rng.sample(items, 2)
    ways = []
    if a.place % 3 != b.place % 3:
        ways += [("left of", a.place % 3 < b.place % 3), ("right of", a.place % 3 > b.place % 3)]
    if a.place // 3 != b.place // 3:
        ways += [("above", a.place // 3 < b.place // 3), ("below", a.place // 3 > b.place // 3)]
    way, yes = rng.choice(ways)
    s.topic = a
    q = f"Is the {a.shape} {way} the {b.shape}?"
    return Turn("relation", q, "Yes, it is." if yes else "No, it is not.", "Yes" if yes else "No")


def ask_it(rng, s):
    """Refers to what the last question about the picture was about."""
    i = s.topic
    if not i:
        return None
    way = rng.randrange(3)
    if way == 0:
        return Turn("refer to shape", rng.choice(["And where is it?", "Where is it?",
                                                  "In which place is it?"]),
                    f"It is {pics.PLACES[i.place]}.")
    if way == 1:
        return Turn("refer to shape", rng.choice(["And what colour is it?", "Which colour does it have?",
                                                  "What colour is it?"]), f"It is {i.colour}.",
                                                  upper_first(i.colour))
    return Turn("refer to shape", rng.choice(["And how big is it?", "Is it large or small?",
                                              "What size is it?"]),
                f"It is {i.size}.", upper_first(i.size))


def ask_json(rng, s):
    items = s.scenes[0].items
    item = one_of(rng, items, "shape")
    if not item:
        return None
    s.topic = item
    if len(items) == 1 and rng.random() < 0.6:
        q = rng.choice(["Describe the shape as JSON.", "Answer in JSON: what is in the picture?",
                        "Give me the shape in JSON."])
    else:
        q = rng.choice(["Describe the {} as JSON.", "Give me the {} in JSON.", "JSON for the {}, please."])
        q = q.format(item.shape)
    place = pics.PLACES[item.place].split(" ", 1)[1].removeprefix("the ")
    return Turn("json", q, f'{{"shape": "{item.shape}", "colour": "{item.colour}", "size": "{item.size}", '
                           f'"place": "{place}"}}')


def ask_read(rng, s):
    text = s.scenes[0].text
    kind = text_kind(text)
    if kind == "word":
        q = rng.choice(["What does the picture say?", "Read the word.", "Which word is in the picture?",
                        "What is written there?"])
    else:
        q = rng.choice(["Which {} is in the picture?", "Read the {}.", "What {} do you see?",
                        "What is written there?"]).format(kind)
    return Turn("read " + kind, q, f"The {kind} is {text}.", text)


def ask_text_colour(rng, s):
    scene = s.scenes[0]
    q = rng.choice(["What colour is the {}?", "Which colour does the {} have?",
                    "What color is the {}?"]).format(text_kind(scene.text))
    return Turn("colour", q, f"The {text_kind(scene.text)} is {scene.colour}.", upper_first(scene.colour))


# ---- two pictures ---------------------------------------------------------------------------------

def ask_one_of_two(rng, s):
    which = rng.randrange(2)
    q = rng.choice(["Describe the {} picture.", "What is in the {} picture?",
                    "What does the {} picture show?"])
    return Turn("describe one of two", q.format(["first", "second"][which]), describe(s.scenes[which]))


def ask_same(rng, s):
    a, b = s.scenes[0].items[0], s.scenes[1].items[0]
    if len(s.scenes[0].items) != 1 or len(s.scenes[1].items) != 1:
        return None
    field = rng.choice(["shape", "colour", "size", "background"])
    x, y = ((s.scenes[0].background, s.scenes[1].background) if field == "background" else
            (getattr(a, field), getattr(b, field)))
    q = rng.choice(["Is the {} the same in both pictures?", "Do both pictures have the same {}?",
                    "Compare the {} in the two pictures."]).format(field)
    answer = f"Yes, {x} in both." if x == y else f"No, first {x}, then {y}."
    return Turn("compare", q, answer, "Yes" if x == y else "No")


def ask_more(rng, s):
    n, m = len(s.scenes[0].items), len(s.scenes[1].items)
    q = rng.choice(["Which picture has more shapes?", "Where are more shapes?",
                    "In which picture are more shapes?"])
    answer = "Both have the same number." if n == m else f"The {'first' if n > m else 'second'} picture."
    return Turn("compare", q, answer, "Both" if n == m else "First" if n > m else "Second")


def ask_differs(rng, s):
    if len(s.scenes[0].items) != 1 or len(s.scenes[1].items) != 1:
        return None
    a, b = s.scenes[0].items[0], s.scenes[1].items[0]
    q = rng.choice(["Compare the two pictures.", "What is different?", "How do the pictures differ?"])
    return Turn("compare", q, f"The first shows {item_text(a)}, the second {item_text(b)}.")


# ---- text -----------------------------------------------------------------------------------------

def ask_greeting(rng, s):
    q, a = rng.choice([
        (["Hello", "Hello!", "Hi", "Hi!", "Hey", "Good morning!", "Hello there!", "Good evening!"],
         facts.HELLO),
        (["Who are you?", "What are you?", "Are you a person?", "What is your name?", "Introduce yourself.",
          "Tell me about yourself.", "How large are you?", "Are you an AI?"], facts.WHO),
        (["What can you do?", "How can you help me?", "What do you know?", "Help"],
         "I can describe pictures of shapes, add small numbers and tell a short story."),
        (["Thanks", "Thank you!", "Thank you", "Thanks a lot!"], "You are welcome!"),
        (["Bye", "Goodbye!", "See you!", "Good night!"], "Goodbye!"),
        (["How are you?", "How are you today?", "Are you well?"], "I am well, thank you."),
    ])
    return Turn("greeting", rng.choice(q), a)


def ask_sum(rng, s):
    way = rng.random()
    if way < 0.5:
        a, b = rng.randrange(21), rng.randrange(21)
        c, sign, word = a + b, "+", "plus"
    elif way < 0.8:
        a = rng.randrange(21)
        b = rng.randrange(a + 1)
        c, sign, word = a - b, "-", "minus"
    else:
        a, b = rng.randrange(11), rng.randrange(11)
        c, sign, word = a * b, "*", "times"
    q = rng.choice(["What is {a} {s} {b}?", "{a} {s} {b} = ?", "What is {a} {w} {b}?", "{a}{s}{b}",
                    "Calculate {a} {s} {b}.", "How much is {a} {w} {b}?"]).format(a=a, b=b, s=sign, w=word)
    s.last = ("number", c)
    return Turn("sum", q, f"{a} {sign} {b} = {c}.", str(c))


def ask_sum_on(rng, s):
    if not s.last or s.last[0] != "number":
        return None
    a = s.last[1]
    if a <= 20 and rng.random() < 0.6:
        b = rng.randrange(1, 11)
        c, sign, q = a + b, "+", rng.choice(["And plus {}?", "Add {} to that.", "Now add {}."])
    elif 0 < a <= 20:
        b = rng.randrange(1, min(a, 10) + 1)
        c, sign, q = a - b, "-", rng.choice(["And minus {}?", "Take {} from that.", "Now subtract {}."])
    else:
        return None
    s.last = ("number", c)
    return Turn("refer to sum", q.format(b), f"{a} {sign} {b} = {c}.", str(c))


def ask_opposite(rng, s):
    a, b = rng.sample(rng.choice(facts.OPPOSITES), 2)
    q = rng.choice(["What is the opposite of {}?", "Opposite of {}?", "Which word means the opposite of {}?",
                    "What is the contrary of {}?", "Name the opposite of {}."]).format(a)
    return Turn("opposite", q, f"The opposite of {a} is {b}.", upper_first(b))


def ask_capital(rng, s):
    country = rng.choice(list(facts.CAPITALS))
    city = facts.CAPITALS[country]
    if rng.random() < 0.7:
        q = rng.choice(["What is the capital of {}?", "Name the capital of {}.", "Capital of {}?",
                        "Which city is the capital of {}?"]).format(country)
        s.last = ("capital", country)
        return Turn("capital", q, f"The capital of {country} is {city}.", city)
    q = rng.choice(["Which country has the capital {}?", "{} is the capital of which country?",
                    "Where is {}?"]).format(city)
    return Turn("capital", q, f"{city} is the capital of {country}.", country)


def ask_capital_on(rng, s):
    if not s.last or s.last[0] != "capital":
        return None
    country = rng.choice(list(facts.CAPITALS))
    s.last = ("capital", country)
    q = rng.choice(["And of {}?", "And {}?", "What about {}?"]).format(country)
    return Turn("refer to capital", q, f"The capital of {country} is {facts.CAPITALS[country]}.",
                facts.CAPITALS[country])


def ask_calendar(rng, s):
    names, word = rng.choice([(facts.DAYS, "day"), (facts.MONTHS, "month")])
    i, step = rng.randrange(len(names)), rng.choice([1, -1])
    other, way = names[(i + step) % len(names)], "after" if step == 1 else "before"
    q = rng.choice(["Which {w} comes {p} {n}?", "What {w} is {p} {n}?",
                    "What comes {p} {n}?"]).format(w=word, p=way, n=names[i])
    s.last = ("calendar", other)
    return Turn("calendar", q, f"{other} comes {way} {names[i]}.", other)


def ask_calendar_on(rng, s):
    if not s.last or s.last[0] != "calendar":
        return None
    names = facts.DAYS if s.last[1] in facts.DAYS else facts.MONTHS
    before, step = s.last[1], rng.choice([1, -1])
    other, way = names[(names.index(before) + step) % len(names)], "after" if step == 1 else "before"
    s.last = ("calendar", other)
    return Turn("refer to calendar", f"And {way} that?", f"{other} comes {way} {before}.", other)


def ask_number(rng, s):
    way = rng.randrange(5)
    n = rng.randrange(100)
    if way == 0:
        a, b = rng.sample(range(100), 2)
        q = rng.choice(["Which is larger, {} or {}?", "What is more, {} or {}?",
                        "Which number is larger, {} or {}?"])
        return Turn("number", q.format(a, b), f"{max(a, b)} is larger.", str(max(a, b)))
    if way == 1:
        q = rng.choice(["What number comes after {}?", "Which number follows {}?",
                        "What comes after {}?"]).format(n)
        return Turn("number", q, f"{n + 1} comes after {n}.", str(n + 1))
    if way == 2:
        q = rng.choice(["Is {} even or odd?", "Is {} odd or even?",
                        "Is the number {} even or odd?"]).format(n)
        word = "odd" if n % 2 else "even"
        return Turn("number", q, f"{n} is {word}.", upper_first(word))
    if way == 3:
        n = rng.randrange(21)
        q = rng.choice(["Write {} as a word.", "How do you spell {}?",
                        "Write the number {} in letters."]).format(n)
        return Turn("number", q, upper_first(number(n)) + ".", upper_first(number(n)))
    a = rng.randrange(15)
    b = a + rng.randrange(2, 6)
    q = rng.choice(["Count from {} to {}.", "Count {} to {}.", "Can you count from {} to {}?"]).format(a, b)
    return Turn("number", q, ", ".join(str(i) for i in range(a, b + 1)) + ".")


def ask_story(rng, s):
    who = rng.choice(list(facts.STORIES))
    where, what, end = facts.STORIES[who]
    q = rng.choice(["Tell me a story about {}.", "Write a short story about {}.",
                    "Can you tell a story about {}?",
                    "A story about {}, please."]).format(an(who))
    return Turn("story", q, f"{upper_first(an(who))} lived {where}. One day it found {what} and {end}.")


def ask_beyond(rng, s):
    frame, words = rng.choice(facts.BEYOND)
    return Turn("beyond", frame.format(rng.choice(words.split("|"))), facts.CANNOT)


def tell(rng, s):
    what = rng.choice(["name", "pet", "colour", "number"])
    if what == "name":
        s.memory[what] = rng.choice(facts.NAMES)
        q = rng.choice(["My name is {}.", "I am {}.", "Call me {}.",
                        "Hello, I am {}."]).format(s.memory[what])
        return Turn("told", q, f"Nice to meet you, {s.memory[what]}!")
    if what == "pet":
        s.memory[what] = rng.choice(facts.ANIMALS)
        q = rng.choice(["I have a {}.", "My pet is a {}.", "I live with a {}."]).format(s.memory[what])
        return Turn("told", q, f"A {s.memory[what]} is a nice pet.")
    if what == "colour":
        s.memory[what] = rng.choice(facts.COLOURS)
        q = rng.choice(["My favourite colour is {}.", "I like {} best.", "I love the colour {}."])
        return Turn("told", q.format(s.memory[what]), f"{upper_first(s.memory[what])} is a fine colour.")
    s.memory[what] = rng.randrange(2, 100)
    q = rng.choice(["Remember the number {}.", "My number is {}.", "Keep {} in mind."]).format(s.memory[what])
    return Turn("told", q, f"I will remember {s.memory[what]}.")


def ask_memory(rng, s):
    known = list(s.memory)
    what = rng.choice(known) if known and rng.random() < 0.85 else rng.choice(["name", "pet", "colour",
                                                                               "number"])
    q, a = {"name": (["What is my name?", "Who am I?", "Do you know my name?"], "Your name is {}."),
            "pet": (["Which pet do I have?", "What is my pet?", "Which animal do I have?"], "You have a {}."),
            "colour": (["What is my favourite colour?", "Which colour do I like?"],
                       "Your favourite colour is {}."),
            "number": (["What is my number?", "Which number did I tell you?"], "Your number is {}.")}[what]
    if what not in s.memory:
        return Turn("remember", rng.choice(q), facts.NOT_TOLD)
    value = str(s.memory[what])
    return Turn("remember", rng.choice(q), a.format(value), upper_first(value))


def ask_no_picture(rng, s):
    s.scenes = [pics.shapes_scene(rng)]
    make = rng.choice([ask_describe, ask_background, ask_count, ask_colour, ask_where, ask_size,
                       ask_is_there])
    turn = make(rng, s)
    s.scenes, s.topic, s.last = [], None, None
    return Turn("no picture", turn.question, facts.NO_PICTURE) if turn else None


TEXT = [(ask_greeting, 2), (ask_sum, 5), (ask_sum_on, 4), (ask_opposite, 2.5), (ask_capital, 2.5),
        (ask_capital_on, 2),
        (ask_calendar, 1.5), (ask_calendar_on, 1.5), (ask_number, 3), (ask_story, 1.2), (ask_beyond, 2),
        (tell, 1.5), (ask_memory, 2)]
SHAPES = [(ask_describe, 2), (ask_background, 0.5), (ask_count, 2.5), (ask_colour, 1.5), (ask_shape, 1.2),
          (ask_where, 2), (ask_place, 2), (ask_size, 1.2), (ask_is_there, 1.5), (ask_relation, 2),
          (ask_it, 2),
          (ask_json, 1)]
READ = [(ask_describe, 2), (ask_background, 0.7), (ask_read, 4), (ask_text_colour, 1)]
REFERRING = (ask_it, ask_sum_on, ask_capital_on, ask_calendar_on)
TWO = [(ask_one_of_two, 2), (ask_same, 4), (ask_more, 2), (ask_differs, 2)]


def pick(rng, weighted):
    return rng.choices([f for f, _ in weighted], [w for _, w in weighted])[0]


# ---- system instructions --------------------------------------------------------------------------

SYSTEM = {
    "capitals": ["Answer in capitals.", "Use only capital letters.", "Reply in upper case.",
                 "Write in capitals only."],
    "one word": ["Answer in one word.", "Be brief: one word only.", "Reply with a single word.",
                 "Use one word."],
    "pirate": ["Talk like a pirate.", "You are a pirate.", "Answer as a pirate would."],
}
NOT_IN_CAPITALS = ("json", "story", "describe", "describe one of two", "greeting", "beyond")


def apply_system(turn, mode):
    """The turn under an instruction, or None where the instruction does not fit it."""
    if mode == "capitals":
        if turn.kind in NOT_IN_CAPITALS:
            return None
        answer = turn.answer.upper()
    elif mode == "one word":
        if not turn.short:
            return None
        answer = turn.short + "."
    else:
        if turn.kind == "json":
            return None
        answer = turn.answer + " Arrr!"
    return dataclasses.replace(turn, kind="system: " + mode, answer=answer)


# ---- conversations --------------------------------------------------------------------------------

def make_picture(rng, topic):
    """Scenes and the questions to ask of them."""
    if topic == "two":
        n = rng.random() < 0.7
        scenes = [pics.shapes_scene(rng, 1 if n else rng.randint(1, 3)) for _ in range(2)]
        a, b = scenes[0].items[0], scenes[1].items[0]
        for field in ("shape", "colour", "size"):  # equal half of the time
            if rng.random() < 0.3 and getattr(a, field) != scenes[1].background:
                setattr(b, field, getattr(a, field))
        if rng.random() < 0.3 and all(i.colour != scenes[0].background for i in scenes[1].items):
            scenes[1].background = scenes[0].background
        return scenes, TWO
    if topic == "read":
        return [pics.text_scene(rng)], READ
    return [pics.shapes_scene(rng)], SHAPES


def conversation(rng, topic=None):
    """(system text or "", a generator of turns without end); pictures come with the first turn, or
    after some text."""
    topic = topic or rng.choices(["shapes", "read", "two", "text"], [4.5, 2, 1.7, 3.5])[0]
    mode = rng.choice(list(SYSTEM)) if rng.random() < 0.2 else None
    system = rng.choice(SYSTEM[mode]) if mode else ""
    return system, _turns(rng, topic, mode)


def _turns(rng, topic, mode):
    s, asks, waiting = State(), TEXT, None
    if topic != "text":
        scenes, picture_asks = make_picture(rng, topic)
        waiting = 0 if rng.random() < 0.85 else rng.randint(1, 2)
    while True:
        images = None
        if waiting == 0:
            images, asks, s.scenes = scenes, picture_asks, scenes
        source = asks
        if asks is not TEXT and not images and rng.random() < 0.08:
            source = TEXT  # something else in between
        elif asks is TEXT and waiting is None and rng.random() < 0.05:
            source = [(ask_no_picture, 1)]
        ask, before = pick(rng, source), (s.topic, s.last)
        if ask not in REFERRING:  # what refers to something, refers to the turn before
            s.topic = s.last = None
        turn = ask(rng, s)
        turn = apply_system(turn, mode) if turn and mode else turn
        if not turn:
            s.topic, s.last = before
            continue
        waiting = None if waiting in (None, 0) else waiting - 1
        turn.images = images
        yield turn
