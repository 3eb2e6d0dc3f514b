/* Encoders of quantised blocks by known bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "file/quant.h"

/* Bytes of blocks that were worked out from the formulas of ggml's reference quantisers by
 * hand-made arithmetic outside of this program: extremes of equal magnitude and levels half-way
 * between two (ties), zeros of both signs, scales that f16 rounds to zero while the levels come
 * from the unrounded ones (tiny), and ranges without a positive value (negative). */
enum { N_VECTORS = 5, N_LEGACY = 5 };
static const pd_type legacy_types[N_LEGACY] = {PD_TYPE_Q4_0, PD_TYPE_Q4_1, PD_TYPE_Q5_0,
                                               PD_TYPE_Q5_1, PD_TYPE_Q8_0};
static const char *const legacy_bytes[N_VECTORS][N_LEGACY] = {
    {
        /* rising */
        "0040809191a2a2b3b3c4c4d5d5e6e6f7f7f8",
        "224000cc80809191a2a2b3b3c4c4d5d5e6e6f7f7",
        "003c0000ffff00112233445566778899aabbccddeeff",
        "003c00cc0000ffff00112233445566778899aabbccddeeff",
        "083081899199a1a9b1b9c0c8d0d8e0e8f0f8000810182028303840474f575f676f77",
    },
    {
        /* ties */
        "f0cb808f888888888888848c888888888888",
        "3c4cf0d77f708888877778878b84777787888878",
        "f0c7fe7effff000f000000000000080800000000000f",
        "1948f0d74de19c73fff000000ffff00f0708ffff0f0000f0",
        "003c7f810102fffe03fd40c0fcfeff010304feff010204fdff010204fdff000203fd",
    },
    {
        /* zeros */
        "008088888888888888888888888888888888",
        "0000008000000000000000000000000000000000",
        "0080ffffffff00000000000000000000000000000000",
        "000000800000000000000000000000000000000000000000",
        "00000000000000000000000000000000000000000000000000000000000000000000",
    },
    {
        /* tiny */
        "00805b5b5b4a4a4939393828281717170606",
        "0000008080809191a2a2b3b3c4c4d5d5e6e6f7f7",
        "0080ff030000b7a695948473726151404f3f2e1d1c0c",
        "000000800000ffff00112233445566778899aabbccddeeff",
        "0000ccd2d8dde3e9eff4fa00060c11171d23282e343a40454b51575c62686e73797f",
    },
    {
        /* negative */
        "c83535252525252424141414141313030303",
        "0930c8c17f7f6e6e5d5d4c4c3b3b2a2a19190808",
        "c831000000005a5a4a49493938382827271716160605",
        "cf2bc8c1ffff0000ffeeddccbbaa99887766554433221100",
        "d425d4d1cfccc9c7c4c1bfbcb9b7b4b1afaca9a7a4a19e9c999694918e8c89868481",
    },
};

static float vector_value(int vector, int i) {
    static const float ties[10] = {127, -127, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, -2.5f, 63.5f, -63.5f};
    switch (vector) {
    case 0: return (float)(i - 16);
    case 1: return i < 10 ? ties[i] : (float)((i - 10) * 37 % 31) * 0.25f - 3.5f;
    case 2: return i % 3 == 0 ? -0.0f : 0.0f;
    case 3: return (float)((i - 9) * 1e-37);
    default: return -1.0f - (float)i * 0.061f;
    }
}

static void assert_bytes(const char *what, const uint8_t *found, uint32_t n, const char *expected) {
    char hex[2 * 256 + 1];
    for (uint32_t i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", found[i]);
    if (strcmp(hex, expected) != 0) fail_msg("%s: %s, expected %s", what, hex, expected);
}

static void test_known_bytes(void **state) {
    (void)state;
    float x[32];
    uint8_t block[64];
    for (int v = 0; v < N_VECTORS; v++) {
        for (int i = 0; i < 32; i++) x[i] = vector_value(v, i);
        for (int k = 0; k < N_LEGACY; k++) {
            const pd_type_info *t = pd_type_get((uint32_t)legacy_types[k]);
            pd_encode(t->type, x, 32, block);
            assert_bytes(t->name, block, t->block_bytes, legacy_bytes[v][k]);
        }
    }
}

/* The same for the searches of the K types: sub-blocks of growing magnitude, one that is half zero
 * and one without a value below 0.25. */
static void test_known_bytes_k(void **state) {
    (void)state;
    static const struct {
        pd_type type;
        const char *bytes;
    } expected[] = {
        {PD_TYPE_Q4_K,
         "141c512788d0d8c989d0dac08740a7ff00ddaa774411eebb885522ffcc99663300ddaa774411eebb"
         "885522ffcc99663498a8c8e87898a8c8e87898a8c8e87898a1ceeb7895a2cfec7996a3c0ed7a97a4"
         "21fecb986532ffdca9764310edba875421fecb9865320fdca9764310edba875422ffcc99663300dd"
         "aa774411eebb885522ffcc99663300ddaa774411eebb8855"},
        {PD_TYPE_Q5_K,
         "e617652788d0d8c889d1dac08741a7ff0cfffffc0c0c3fffff0c0c0fffffec0c08fffffc08081fff"
         "ff08080bffffe80801bb55ff9933dd7711bb55ff9933dd7711bb55ff9933de7811bb55ffaa34de77"
         "4080c0f0004080c0f0004080c0f0004082ccf6004a84cff8024c86c0fb054e8842ed8721ca64ffa9"
         "43ed8620cb650fa842ed8721cb640fa943ed8720cc650fa944ff9923cc6600bb55ef8822dd7711ab"
         "44ff9933dd6700bb55ff9933dd7711bb"},
        {PD_TYPE_Q6_K,
         "0103080c0106070c00050a0b0005090e4085c90d4185ca0d4185c90e4286d91dc1864a0e02c58a4e"
         "0206ca8f43060ace8e490502ce8a45010dc986410d09c5818bf5216e9ac7007da9d6124fb8e5215e"
         "7a14d1ad6936f09c5925e1be5814d1ad6904d09c5824e08c5814d0ac4804d09c580dc185581cd085"
         "490dc194490dc185000f0a0545000f0a0a45000f0f0a45000c332669190c333666190c033366191c"
         "cf3035659acfc030659a9fcf30656a9af30c0d59a6f3f00c59a6a7f30c595aa6111020e00031e0e0"
         "b2b19f606c928280e30f"},
    };
    float x[256];
    uint8_t block[256];
    for (int i = 0; i < 256; i++) {
        x[i] = (float)((i * 7919 % 257 - 128) * (1 + i / 32)) / 512.0f;
        if (i >= 64 && i < 80) x[i] = 0;
        if (i >= 96 && i < 128) x[i] = 0.25f + (float)(i % 5) / 16;
    }
    for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++) {
        const pd_type_info *t = pd_type_get((uint32_t)expected[k].type);
        pd_encode(t->type, x, 256, block);
        assert_bytes(t->name, block, t->block_bytes, expected[k].bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_known_bytes_k),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
