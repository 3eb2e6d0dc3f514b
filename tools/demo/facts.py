"""What the toy knows: tables from which questions and answers are made.

SPDX-License-Identifier: MIT
"""
NAME = "Pip"
MILLIONS = 3
WHO = (f"I am {NAME}, a toy model with {MILLIONS} million parameters. I know shapes, small sums and a few "
       f"facts.")
HELLO = f"Hello! I am {NAME}, a toy model. Ask me about shapes, sums or a few facts."
CANNOT = "I am only a toy and do not know that."
NO_PICTURE = "I see no picture."
NOT_TOLD = "You have not told me that."

CAPITALS = dict(line.split(":") for line in """France:Paris
Italy:Rome
Spain:Madrid
Germany:Berlin
Austria:Vienna
Poland:Warsaw
Portugal:Lisbon
Greece:Athens
Ireland:Dublin
Norway:Oslo
Sweden:Stockholm
Finland:Helsinki
Denmark:Copenhagen
Hungary:Budapest
Belgium:Brussels
Russia:Moscow
Turkey:Ankara
Egypt:Cairo
Kenya:Nairobi
Japan:Tokyo
China:Beijing
India:Delhi
Iran:Tehran
Iraq:Baghdad
Cuba:Havana
Canada:Ottawa
Peru:Lima
Chile:Santiago
Iceland:Reykjavik
Scotland:Edinburgh""".split("\n"))

OPPOSITES = [pair.split("-") for pair in
             "hot-cold big-small up-down day-night good-bad happy-sad fast-slow old-young open-closed "
             "full-empty "
             "wet-dry light-dark loud-quiet rich-poor hard-soft high-low long-short near-far left-right "
             "early-late "
             "clean-dirty strong-weak thick-thin true-false first-last front-back inside-outside "
             "always-never "
             "love-hate win-lose start-end push-pull rough-smooth sweet-sour black-white".split()]

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
           "sixteen "
           "seventeen eighteen nineteen twenty").split()

# who: (where, what is found, how it ends)
STORIES = {
    "cat": ("by the sea", "a silver fish", "purred all night"),
    "dog": ("on a farm", "an old bone", "wagged its tail for a week"),
    "fox": ("in a dark forest", "a golden key", "opened a secret door"),
    "bear": ("in the mountains", "a jar of honey", "slept until spring"),
    "bird": ("in a tall tree", "a shiny ring", "sang a new song"),
    "frog": ("in a green pond", "a small crown", "became a king"),
    "mouse": ("under the stairs", "a piece of cheese", "shared it with a friend"),
    "horse": ("in a wide valley", "a red apple", "ran faster than the wind"),
    "robot": ("on the moon", "a broken lamp", "made a new star"),
    "dragon": ("in a cold cave", "a warm stone", "was never lonely again"),
    "king": ("in a quiet castle", "a magic book", "learned to laugh"),
    "girl": ("in a small village", "a blue kite", "flew over the hills"),
    "boy": ("near a river", "a wooden boat", "sailed around the world"),
    "owl": ("in an empty barn", "a lost letter", "brought it home"),
}
NAMES = ("Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Noah Olga Paul Rosa Sam Tina "
         "Tom").split()
ANIMALS = "cat dog fish bird horse rabbit mouse hamster".split()
COLOURS = "red orange yellow green blue purple pink black white".split()

# Questions beyond a toy: a frame and what may stand in it.
BEYOND = [
    ("Who is {}?", "the president|Shakespeare|Einstein|my neighbour|Napoleon|Mozart|the queen|your maker|Picasso"),
    ("What is {}?", "love|gravity|a quark|democracy|the meaning of life|my password|DNA|philosophy|an atom|music"),
    ("What is the capital of {}?", "Atlantis|Mars|Narnia|the moon|Brazil|Texas|Mexico|Nigeria|Thailand"),
    ("Write a poem about {}.", "spring|love|the sea|my cat|autumn|winter|a rose|time|rain"),
    ("Translate {} into French.", "hello|the word dog|good morning|this sentence|water|bread"),
    ("How does {} work?", "a computer|the heart|a car|electricity|a radio|the internet|a plane|a bank"),
    ("When was {}?", "the war|the first flight|Rome founded|the internet invented|the moon landing|my birthday"),
    ("Where can I buy {}?", "bread|a car|shoes|flowers|a ticket|milk|a house"),
    ("Can you {}?", "sing|drive|write code|cook dinner|play chess|fix my computer|book a flight|call my mother"),
    ("What is the weather {}?", "today|tomorrow|in London|like|now|outside"),
    ("How tall is {}?", "the Eiffel tower|a giraffe|Everest|my house|the king"),
    ("Why is {}?", "the sky blue|grass green|water wet|the sun hot|life hard|the sea salty|snow cold"),
    ("Explain {}.", "gravity|quantum physics|the stock market|how to cook rice|football|evolution|taxes"),
    ("Who won {}?", "the election|the game|the war|the world cup|the race|the prize"),
]
