/* A made-up vocabulary of 262144 tokens in Gemma 3's layout, so that a model needs no download to
 * turn text into ids and back.
 *
 *     0-5        <pad> <eos> <bos> <unk> <mask> [multimodal]
 *     6-104      <unused0>.. 98      105, 106  turn markers     107-137  1..31 newlines
 *     138-167    2..31 spaces        168-237   HTML tags        238-493  bytes <0x00>..<0xFF>
 *     494-236742 pieces of several characters
 *     236743-    19225 single characters, U+2581 (the space) first, then by rough frequency
 *     255968-    1..31 tabs, 255999 and 256000 the image markers, then <unused99>..<unused6241>
 *
 * Pieces are closed under merging: each is the joint of two that exist already, a piece or a
 * character. First come the prefixes of common English words, then syllables (consonant, vowel),
 * pairs of them and triples, each pair also with a space in front, until the range is full.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/hash.h"
#include "pack/synth.h"

#define SPACE "\xE2\x96\x81" /* U+2581 */

enum {
    N_TOKENS = 262144,
    FIRST_BYTE = 238,
    FIRST_PIECE = 494,
    FIRST_CHARACTER = 236743,
    FIRST_TABS = 255968,
    SET_SLOTS = 1 << 19, /* of the texts so far: at most half full */
    CONTROL = 3,
    USER_DEFINED = 4,
    BYTE = 6,
    NORMAL = 1
};

typedef struct vocab_maker {
    pd_hf_tokenizer *out;
    uint64_t *seen; /* [SET_SLOTS] hashes of pieces and characters; 0: free */
    bool failed;    /* out of memory */
} vocab_maker;

static void put(vocab_maker *m, const char *text, size_t n_bytes, int32_t type) {
    pd_hf_tokenizer *t = m->out;
    char *copy = pd_arena_alloc(&t->arena, n_bytes + 1, 1);
    if (!copy) {
        m->failed = true;
        return;
    }
    memcpy(copy, text, n_bytes);
    uint32_t id = t->n++;
    t->tokens[id] = (pd_string){copy, n_bytes};
    t->types[id] = type;
    t->scores[id] = type == NORMAL ? (float)FIRST_PIECE - (float)id
                    : type == BYTE ? 0.0f
                                   : -1000.0f;
}

static void put_text(vocab_maker *m, const char *text, int32_t type) {
    put(m, text, strlen(text), type);
}

/* count copies of one character */
static void put_run(vocab_maker *m, char c, uint32_t count) {
    char run[32];
    memset(run, c, count);
    put(m, run, count, USER_DEFINED);
}

static void put_unused(vocab_maker *m, uint32_t first, uint32_t last) {
    for (uint32_t i = first; i <= last && !m->failed; i++) {
        char text[24];
        snprintf(text, sizeof text, "<unused%u>", i);
        put_text(m, text, CONTROL);
    }
}

/* The words of `names` as tags: first all opening ones, then all closing ones. */
static void put_tags(vocab_maker *m, const char *names) {
    for (int closing = 0; closing < 2; closing++) {
        for (const char *at = names; *at;) {
            int n = (int)strcspn(at, " ");
            char tag[24];
            snprintf(tag, sizeof tag, "<%s%.*s>", closing ? "/" : "", n, at);
            put_text(m, tag, USER_DEFINED);
            at += n;
            at += *at == ' ';
        }
    }
}

static void put_head(vocab_maker *m) {
    static const char *const specials[] = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>"};
    for (int i = 0; i < 5; i++) put_text(m, specials[i], CONTROL);
    put_text(m, "[multimodal]", USER_DEFINED);
    put_unused(m, 0, 98);
    put_text(m, "<start_of_turn>", CONTROL);
    put_text(m, "<end_of_turn>", CONTROL);
    for (uint32_t n = 1; n <= 31; n++) put_run(m, '\n', n);
    for (uint32_t n = 2; n <= 31; n++) put_run(m, ' ', n);
    put_tags(m, "table caption thead tbody tfoot tr th td");
    put_tags(m, "h1 h2 h3 h4 h5 h6 blockquote");
    put_tags(m, "strong em b i u s sub sup code");
    put_tags(m, "a html body img span bbox ul li div iframe footer");
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", b);
        put_text(m, text, BYTE);
    }
}

/* ---- pieces --------------------------------------------------------------------------------- */

/* Adds a text to the set; false when it was there. */
static bool first_sight(vocab_maker *m, const char *text, size_t n) {
    uint64_t hash = pd_hash(text, n) | 1;
    uint64_t slot = hash >> 20 & (SET_SLOTS - 1);
    for (; m->seen[slot]; slot = (slot + 1) & (SET_SLOTS - 1))
        if (m->seen[slot] == hash) return false;
    m->seen[slot] = hash;
    return true;
}

static void put_piece(vocab_maker *m, const char *text, size_t n) {
    if (m->failed || m->out->n >= FIRST_CHARACTER || !first_sight(m, text, n)) return;
    put(m, text, n, NORMAL);
}

static size_t character_bytes(const char *s) {
    return *s == SPACE[0] ? 3 : 1;
}

/* Every prefix of two characters and more: each is the one before it and a character. */
static void put_prefixes(vocab_maker *m, const char *word, size_t n) {
    size_t at = character_bytes(word);
    while (at < n) {
        at += character_bytes(word + at);
        put_piece(m, word, at);
    }
}

static void put_words(vocab_maker *m) {
    static const char endings[] =
        "in er re on at en an or es is th he ing ed tion al it ar le ly ment ness est ous ive ic "
        "ation ent ers ings ight ough ould able ful less ck ll ss ee oo qu st ch sh wh";
    static const char words[] =
        "the a to of and in is that it for you was with on as are be this have from or not by at "
        "one an but what all were when we there can your which their said if will each about how "
        "up out them then she many some so these would other into has more her two like him see "
        "time could no make than first been its who now people my made over did down only way find "
        "use may water long little very after words called just where most know get through back "
        "much before go good new write our me man too any day same right look think also around "
        "another came come work three word must because does part even place well such here take "
        "why things help put years different away again off went old number great tell men say "
        "small every found still between name should home big give air line set own under read "
        "last never us left end along while might next sound below saw something thought both few "
        "those always looked show large often together asked house world going want school "
        "important until form food keep children feet land side without boy once animals life "
        "enough took sometimes four head above kind began almost live page got earth need far hand "
        "high year mother light parts country father let night following picture being study "
        "second eyes soon times story boys since white days ever paper hard near sentence better "
        "best across during today others however sure means knew try told young miles sun ways "
        "thing whole hear example heard several change answer room sea against top turned learn "
        "point city play toward five using himself usually money seen car morning give computer "
        "device memory model language user assistant question please hello write explain number";
    const char *lists[] = {endings, words};
    for (int i = 0; i < 2; i++) {
        for (const char *at = lists[i]; *at;) {
            size_t n = strcspn(at, " ");
            char word[48];
            int length = snprintf(word, sizeof word, "%s%.*s", i ? SPACE : "", (int)n, at);
            put_prefixes(m, word, (size_t)length);
            at += n;
            at += *at == ' ';
        }
    }
}

static const char *syllable(uint32_t i, char out[3]) {
    out[0] = "tnsrhldcmpfgwbvkyzjx"[i / 5 % 20];
    out[1] = "aeiou"[i % 5];
    out[2] = '\0';
    return out;
}

/* All of 1, 2 or 3 syllables; what stands before them is a space or nothing. */
static void put_syllables(vocab_maker *m, uint32_t n_syllables, const char *before) {
    uint32_t count = n_syllables == 1 ? 100 : n_syllables == 2 ? 10000 : 1000000;
    for (uint32_t i = 0; i < count && m->out->n < FIRST_CHARACTER && !m->failed; i++) {
        char a[3], b[3], c[3], text[16];
        int n = snprintf(text, sizeof text, "%s%s%s%s", before,
                         n_syllables > 2 ? syllable(i / 10000, a) : "",
                         n_syllables > 1 ? syllable(i / 100 % 100, b) : "", syllable(i % 100, c));
        put_piece(m, text, (size_t)n);
    }
}

static void put_pieces(vocab_maker *m) {
    put_words(m);
    put_syllables(m, 1, "");
    put_syllables(m, 1, SPACE);
    put_syllables(m, 2, "");
    put_syllables(m, 2, SPACE);
    put_syllables(m, 3, "");
}

/* ---- characters ----------------------------------------------------------------------------- */

static void put_character(vocab_maker *m, uint32_t c) {
    char text[4];
    size_t n;
    if (c < 0x80) {
        text[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        text[0] = (char)(0xC0 | c >> 6);
        text[1] = (char)(0x80 | (c & 63));
        n = 2;
    } else if (c < 0x10000) {
        text[0] = (char)(0xE0 | c >> 12);
        text[1] = (char)(0x80 | (c >> 6 & 63));
        text[2] = (char)(0x80 | (c & 63));
        n = 3;
    } else {
        text[0] = (char)(0xF0 | c >> 18);
        text[1] = (char)(0x80 | (c >> 12 & 63));
        text[2] = (char)(0x80 | (c >> 6 & 63));
        text[3] = (char)(0x80 | (c & 63));
        n = 4;
    }
    if (m->failed || m->out->n >= FIRST_TABS || !first_sight(m, text, n)) return;
    put(m, text, n, NORMAL);
}

static void put_characters(vocab_maker *m) {
    static const char common[] = "eaitonrslhcdumpgfybvkwxzjq";
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x21, 0x7E},     {0xA1, 0x17F},    {0x2010, 0x2027},   {0x20A0, 0x20BF},
        {0x386, 0x3CE},   {0x401, 0x45F},   {0x5D0, 0x5EA},     {0x621, 0x64A},
        {0x904, 0x939},   {0xE01, 0xE3A},   {0x1E00, 0x1EFF},   {0x2190, 0x22FF},
        {0x2500, 0x257F}, {0x3001, 0x30FF}, {0x1F300, 0x1F64F}, {0x4E00, 0x9FFF},
    };
    put_character(m, 0x2581);
    for (const char *c = common; *c; c++) put_character(m, (uint32_t)*c);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++) put_character(m, c);
}

static void put_tail(vocab_maker *m) {
    for (uint32_t n = 1; n <= 31; n++) put_run(m, '\t', n);
    put_text(m, "<start_of_image>", CONTROL);
    put_text(m, "<end_of_image>", CONTROL);
    put_unused(m, 99, 6241);
}

pd_status synth_make_vocab(pd_hf_tokenizer *out, pd_error *err) {
    *out = (pd_hf_tokenizer){0};
    vocab_maker m = {.out = out, .seen = pd_alloc(SET_SLOTS, sizeof *m.seen)};
    out->tokens = pd_arena_alloc(&out->arena, N_TOKENS, sizeof *out->tokens);
    out->scores = pd_arena_alloc(&out->arena, N_TOKENS, sizeof *out->scores);
    out->types = pd_arena_alloc(&out->arena, N_TOKENS, sizeof *out->types);
    m.failed = !m.seen || !out->tokens || !out->scores || !out->types;
    if (!m.failed) {
        put_head(&m);
        put_pieces(&m);
        put_characters(&m);
        put_tail(&m);
    }
    pd_free(m.seen);
    if (!m.failed && out->n == N_TOKENS) return PD_OK;
    uint32_t n = out->n;
    pd_hf_tokenizer_free(out);
    if (m.failed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a vocabulary");
    return PD_RAISE(err, PD_ERR_INTERNAL, "the made-up vocabulary has %u tokens instead of %u", n,
                    N_TOKENS);
}
