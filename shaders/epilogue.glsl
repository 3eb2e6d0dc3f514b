// What becomes of a product's sum v for column o of row r, which will lie at y[at]. The includer declares
// EPILOGUE, the buffers y and bias, and args. SPDX-License-Identifier: MIT

#include "gelu.glsl"

const bool HAS_BIAS = EPILOGUE == PD_VK_EPILOGUE_BIAS || EPILOGUE == PD_VK_EPILOGUE_BIAS_GELU ||
                      EPILOGUE == PD_VK_EPILOGUE_BIAS_ADD;
const bool IS_GEGLU = EPILOGUE == PD_VK_EPILOGUE_GEGLU; // weight rows 2 i and 2 i + 1 are gate and up of output i

float finished(float v, uint o, uint at) {
    if (HAS_BIAS) v += bias[args.out_first + o];
    if (EPILOGUE == PD_VK_EPILOGUE_BIAS_GELU) v = gelu(v);
    if (EPILOGUE == PD_VK_EPILOGUE_BIAS_ADD) v += y[at];
    return v;
}

uint output_at(uint row, uint o) { return row * args.out_stride + args.out_first + o; }
uint output_count() { return IS_GEGLU ? args.n_weight_rows / 2u : args.n_weight_rows; }
