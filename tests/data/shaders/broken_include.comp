// Does not compile: line 3 of the included file is the mistake.
#version 450
#include "scale_args.glsl"
#include "broken.glsl"

void main() {}
