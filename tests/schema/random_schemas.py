"""Random JSON schemas of the keywords that are understood, and random values, the same for a seed.
SPDX-License-Identifier: MIT
"""
import random

NAMES = ["a", "b", "ab", "c d", "é", "\"", "\n", ""]
TEXTS = ["", "a", "ab", "é\n", "xyz", "a-b"]
PATTERNS = ["^a", "b$", "^[a-c]+$", "^(a|b)*c$", "[^a]", "^\\d{1,3}$", "x.y", "^\\w+$", "^$|a", "a{2,}",
            "^[\\s\\S]{2,4}$", "\\S"]
FORMATS = ["date", "time", "email", "ipv4", "uuid", "duration", "hostname"]
TYPES = ["integer", "number", "string", "array", "object", "null", "boolean"]


class Schemas:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def is_so(self, chance):
        return self.rng.random() < chance

    def value(self, depth=0):
        kind = self.rng.randrange(7 if depth < 2 else 5)
        if kind == 5:
            return [self.value(depth + 1) for _ in range(self.rng.randrange(3))]
        if kind == 6:
            return {self.rng.choice(NAMES): self.value(depth + 1) for _ in range(self.rng.randrange(3))}
        return [None, True, self.rng.randrange(-20, 20), self.rng.choice([0.5, -1.25, 1e-7, 3.1]),
                self.rng.choice(TEXTS)][kind]

    def bound(self):
        return self.rng.choice([self.rng.randrange(-30, 30), self.rng.uniform(-5, 5),
                                round(self.rng.uniform(-100, 100), 2), 10 ** self.rng.randrange(-5, 14),
                                -10 ** self.rng.randrange(0, 14)])

    def add_number(self, schema, _):
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if self.is_so(.3):
                schema[keyword] = self.bound()
        if self.is_so(.2):
            schema["multipleOf"] = self.rng.choice([1, 2, 3, 7, 10, 12, 100])

    def add_string(self, schema, _):
        if self.is_so(.4):
            schema["minLength"] = self.rng.randrange(4)
        if self.is_so(.4):
            schema["maxLength"] = self.rng.randrange(1, 9)
        if self.is_so(.4):
            schema["pattern"] = self.rng.choice(PATTERNS)
        elif self.is_so(.2):
            schema["format"] = self.rng.choice(FORMATS)

    def add_array(self, schema, depth):
        if self.is_so(.7):
            schema["items"] = self.schema(depth + 1)
        if self.is_so(.3):
            schema["prefixItems"] = [self.schema(depth + 1) for _ in range(self.rng.randrange(1, 4))]
        if self.is_so(.3):
            schema["minItems"] = self.rng.randrange(4)
        if self.is_so(.3):
            schema["maxItems"] = self.rng.randrange(5)

    def add_object(self, schema, depth):
        if self.is_so(.8):
            schema["properties"] = {self.rng.choice(NAMES): self.schema(depth + 1)
                                    for _ in range(self.rng.randrange(1, 5))}
        if self.is_so(.5):
            schema["required"] = sorted({self.rng.choice(NAMES) for _ in range(self.rng.randrange(3))})
        if self.is_so(.4):
            schema["additionalProperties"] = (self.is_so(.5) if self.is_so(.5)
                                              else self.schema(depth + 1))
        if self.is_so(.2):
            schema["minProperties"] = self.rng.randrange(4)
        if self.is_so(.2):
            schema["maxProperties"] = self.rng.randrange(5)

    def add_combinations(self, schema, depth):
        if self.is_so(.15):
            schema[self.rng.choice(["anyOf", "oneOf"])] = [self.schema(depth + 1)
                                                           for _ in range(self.rng.randrange(1, 4))]
        if self.is_so(.15):
            schema["allOf"] = [self.schema(depth + 1) for _ in range(self.rng.randrange(1, 4))]

    def schema(self, depth=0):
        chance = self.rng.random()
        if depth > 3 or chance < .05:
            return self.rng.choice([True, {}, {"type": "null"}, {"type": "boolean"}, {"type": "integer"}])
        if chance < .1:
            return {"enum": [self.value() for _ in range(self.rng.randrange(1, 4))]}
        if chance < .13:
            return {"const": self.value()}
        if chance < .2 and depth:
            return {"$ref": "#/$defs/" + self.rng.choice("xyz")}
        schema, kind = {}, self.rng.choice(TYPES)
        self.add_combinations(schema, depth)
        if self.is_so(.85):
            schema["type"] = kind if self.is_so(.8) else sorted({kind, self.rng.choice(TYPES)})
        add = {"integer": self.add_number, "number": self.add_number, "string": self.add_string,
               "array": self.add_array, "object": self.add_object}
        for name in ([kind] if kind in add else []) + (sorted(add) if self.is_so(.05) else []):
            add[name](schema, depth)
        if self.is_so(.05):
            schema["enum"] = [self.value() for _ in range(4)]
        return schema

    def root(self):
        return {"allOf": [self.schema()], "$defs": {name: self.schema(1) for name in "xyz"}}
