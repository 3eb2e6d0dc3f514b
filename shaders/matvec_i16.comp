// matvec with integer dot products: quantised weights, rows of x in 16-bit integers.
// SPDX-License-Identifier: MIT
#version 450
#include "args.h"
#define DOT_I16
#include "matvec.glsl"
