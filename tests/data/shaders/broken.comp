// Does not compile: line 6 is the mistake.
#version 450
#include "scale_args.glsl"

void main() {
    uint a = no_such_thing;
}
