// Where K and V lie in a page pool: a page holds 64 positions of the slice's KV heads.
//
//     K  [page][head][CHUNKS][64] 16-byte chunks of E values: invocations that take one position each
//        read a chunk of all positions side by side
//     V  [page][head][64][CHUNKS] 16-byte chunks: invocations that take some dimensions each read a
//        position's values side by side
//
// E = 8 (f16) or 4 (f32); the last chunk of a head whose dimensions are no multiple of E ends with
// zeros. The includer declares HEAD_DIM (a multiple of 4) and KV_F32. SPDX-License-Identifier: MIT

const uint CHUNK = KV_F32 != 0u ? 4u : 8u; // values in 16 bytes
const uint CHUNKS = (HEAD_DIM + CHUNK - 1u) / CHUNK; // per head and position

uint k_chunk(uint page, uint n_kv, uint head, uint slot, uint chunk) {
    return ((page * n_kv + head) * CHUNKS + chunk) * PD_SHADER_PAGE + slot;
}
uint v_chunk(uint page, uint n_kv, uint head, uint slot, uint chunk) {
    return ((page * n_kv + head) * PD_SHADER_PAGE + slot) * CHUNKS + chunk;
}
