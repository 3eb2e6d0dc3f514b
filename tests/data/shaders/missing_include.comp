#version 450
#include "no_such_file.glsl"
void main() {}
