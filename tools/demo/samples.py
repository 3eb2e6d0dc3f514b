#!/usr/bin/env python3
"""Draws the sample pictures: samples/1.png to samples/5.png.

SPDX-License-Identifier: MIT
"""
import os
import random

from pictures import Item, Scene, draw

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "samples")
SIDE = 252
SCENES = [
    Scene("white", [Item("circle", "red", "large", 0), Item("star", "blue", "large", 5),
                    Item("square", "green", "small", 7)]),
    Scene("black", [Item("heart", "pink", "large", 4)]),
    Scene("yellow", [], "SUN", "blue"),
    Scene("white", [], "7", "purple"),
    Scene("grey", [Item("triangle", "yellow", "large", 0), Item("triangle", "yellow", "small", 2),
                   Item("ring", "white", "large", 4), Item("triangle", "red", "large", 6),
                   Item("cross", "black", "large", 8)]),
]


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for i, scene in enumerate(SCENES, 1):
        image, _ = draw(scene, random.Random(i), SIDE, 0.3)
        image.save(os.path.join(FOLDER, f"{i}.png"), optimize=True)


if __name__ == "__main__":
    main()
