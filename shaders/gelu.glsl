// gelu(x) in its tanh form. The argument of tanh is clamped, since exp(2 y) overflows on drivers that
// build tanh from it. SPDX-License-Identifier: MIT

float gelu(float x) {
    float y = clamp(0.7978845608028654 * (x + 0.044715 * x * x * x), -15.0, 15.0);
    float e = exp(2.0 * y);
    return x * (e / (e + 1.0)); // 0.5 x (1 + tanh y)
}
