/* Chats and texts with images in them: zero bytes separate turns, alternately a role (its first
 * letter chooses a sound one) and a text, in which each "@" is the place of an image.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/chat.h"

enum { MAX_TURNS = 16, MAX_PLACES = 8 };

typedef struct chat {
    pd_chat_turn turns[MAX_TURNS];
    pd_image_place places[MAX_TURNS][MAX_PLACES];
    char roles[MAX_TURNS][16];
    uint32_t n;
} chat;

static const char *role_of(const uint8_t *text, size_t n, char own[16]) {
    static const char *const roles[] = {"user", "model", "assistant", "system"};
    if (n && text[0] >= '0' && text[0] <= '3') return roles[text[0] - '0'];
    for (size_t i = 0; i < 15; i++) own[i] = i < n ? (char)text[i] : '\0';
    return own;
}

static void add_turn(chat *c, const uint8_t *role, size_t n_role, const uint8_t *text, size_t n) {
    pd_chat_turn *t = &c->turns[c->n];
    *t = (pd_chat_turn){.role = role_of(role, n_role, c->roles[c->n]),
                        .text = (const char *)text,
                        .n_bytes = n,
                        .images = c->places[c->n]};
    for (size_t i = 0; i < n && t->n_images < MAX_PLACES; i++) {
        pd_image_place place = {.at = i, .n_crops = (uint32_t)(n % 3)};
        if (text[i] == '@') c->places[c->n][t->n_images++] = place;
    }
    c->n++;
}

static void check_ids(const pd_vocab *v, const uint32_t *ids, size_t n, uint32_t n_starts) {
    for (size_t i = 0; i < n; i++) {
        fuzz_check(ids[i] < pd_vocab_count(v) || ids[i] >= 255999, "an id that must not be there");
        n_starts -= ids[i] == 105;
    }
    fuzz_check(n_starts == 0, "a text has become a turn's marker, or a turn has none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static chat c;
    const pd_vocab *v = fuzz_vocab();
    pd_error err = {0};
    c.n = 0;
    size_t n_max = 4096 + 2 * pd_tokenize_bound(n) + MAX_TURNS * MAX_PLACES * 4 * PD_IMAGE_MAX_IDS;
    size_t n_ids;
    bool system = false;
    while (n > 0 && c.n < MAX_TURNS) {
        const uint8_t *role, *text;
        size_t n_role = fuzz_part(&data, &n, &role), n_text = fuzz_part(&data, &n, &text);
        add_turn(&c, role, n_role, text, n_text);
        if (c.n == 1) system = strcmp(c.turns[0].role, "system") == 0;
    }
    uint32_t *ids = malloc(n_max * sizeof *ids);
    fuzz_check(ids != NULL, "no memory for ids");
    if (fuzz_clean(pd_vocab_chat_encode(v, c.turns, c.n, ids, n_max, &n_ids, &err), &err))
        check_ids(v, ids, n_ids, c.n + 1 - system);
    free(ids);
    return 0;
}
