/* Runs an entry where there is no libFuzzer, with libFuzzer's arguments:
 *
 *     fuzz_X [-runs=N] [-max_total_time=SECONDS] [-seed=N] [-max_len=N] FOLDER|FILE...
 *
 * First every file as it is; then N inputs, or as many as the time allows, each a file changed at a
 * few places in the ways that break parsers. Equal seeds give equal inputs. Each input lies in
 * memory of exactly its size, so that a read behind it is seen; when the process dies of one, it is
 * left in crash-input.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/memory.h"
#include "fuzz.h"

enum { MAX_SEEDS = 256, MAX_BYTES = 1 << 20 };

typedef struct seed {
    uint8_t *data;
    size_t n;
} seed;

static seed seeds[MAX_SEEDS];
static uint32_t n_seeds;
static uint64_t random_state = 1;
static const uint8_t *current; /* the input that runs, for the signal handler */
static size_t n_current;

static uint64_t random_u64(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t random_below(size_t n) {
    return n ? (size_t)(random_u64() % n) : 0;
}

/* ---- seeds ---------------------------------------------------------------------------------- */

static void add_file(const char *path) {
    char *data = NULL;
    size_t n = 0;
    if (n_seeds == MAX_SEEDS) return;
    fuzz_check(pd_file_read_all(path, MAX_BYTES, &data, &n, NULL) == PD_OK, "cannot read a seed");
    seeds[n_seeds++] = (seed){(uint8_t *)data, n};
}

static void add_path(const char *path) {
    struct stat st;
    pd_folder list;
    fuzz_check(stat(path, &st) == 0, "cannot find the seeds");
    if (!S_ISDIR(st.st_mode)) {
        add_file(path);
        return;
    }
    fuzz_check(pd_folder_list(path, &list, NULL) == PD_OK, "cannot list the seeds");
    for (size_t i = 0; i < list.n; i++) {
        char full[4096];
        snprintf(full, sizeof full, "%s/%s", path, list.names[i]);
        if (stat(full, &st) == 0 && S_ISREG(st.st_mode)) add_file(full);
    }
    pd_folder_free(&list);
}

/* ---- changes -------------------------------------------------------------------------------- */

static const char *const WORDS[] = {"4294967295",
                                    "-1",
                                    "18446744073709551616",
                                    "1e999",
                                    "9223372036854775807",
                                    "0",
                                    "\"",
                                    "[",
                                    "{",
                                    "null",
                                    "\\ud800",
                                    "\xff",
                                    "<image>",
                                    ",",
                                    "\xE2\x96\x81",
                                    "]",
                                    "}",
                                    "true",
                                    "\x80",
                                    "\xF0\x9F"};
static const uint64_t NUMBERS[] = {0,          1,          UINT64_MAX, UINT64_MAX - 7,
                                   1ull << 63, 1ull << 62, 1ull << 32, UINT32_MAX,
                                   1ull << 31, 0x7fffffff, 1ull << 20, 255};

static void splice(uint8_t *data, size_t *n, size_t at, size_t removed, const void *with,
                   size_t n_with) {
    if (*n - removed + n_with > MAX_BYTES) return;
    memmove(data + at + n_with, data + at + removed, *n - at - removed);
    if (n_with) memmove(data + at, with, n_with);
    *n += n_with - removed;
}

/* Half of the places are near the beginning, where the structure is. */
static size_t random_place(size_t n) {
    return random_below(random_u64() % 2 && n > 256 ? 256 : n);
}

static void change(uint8_t *data, size_t *n) {
    size_t at = random_place(*n), left = *n - at;
    const seed *other = &seeds[random_below(n_seeds)];
    const char *word = WORDS[random_below(sizeof WORDS / sizeof WORDS[0])];
    uint64_t number = NUMBERS[random_below(sizeof NUMBERS / sizeof NUMBERS[0])];
    size_t width = (size_t)1 << random_below(4), length = random_below(left < 64 ? left + 1 : 64);
    size_t from = random_below(other->n), most = other->n - from;
    switch (random_below(9)) {
    case 0:
    case 1:
        if (left) data[at] = (uint8_t)random_u64();
        break;
    case 2:
        if (left) data[at] ^= (uint8_t)(1u << random_below(8));
        break;
    case 3:
        if (left >= width) memcpy(data + at, &number, width);
        break;
    case 4: splice(data, n, at, length, NULL, 0); break;
    case 5: splice(data, n, at, 0, data + at, length); break; /* doubled */
    case 6: splice(data, n, at, random_below(4) < left ? 1 : 0, word, strlen(word)); break;
    case 7: splice(data, n, at, length, other->data + from, most < 64 ? most : 64); break;
    case 8: *n = random_u64() % 8 ? *n : at; break; /* cut short, but not often */
    }
}

/* ---- runs ----------------------------------------------------------------------------------- */

static void keep_input(int number) {
    FILE *f = fopen("crash-input", "wb");
    if (f) {
        fwrite(current, 1, n_current, f);
        fclose(f);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void run(const uint8_t *data, size_t n) {
    uint8_t *exact = malloc(n ? n : 1);
    fuzz_check(exact != NULL, "no memory for an input");
    if (n) memcpy(exact, data, n);
    current = exact;
    n_current = n;
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static void run_changed(uint8_t *scratch, size_t max_len) {
    const seed *s = &seeds[random_below(n_seeds)];
    size_t n = s->n;
    memcpy(scratch, s->data, n);
    for (size_t k = 1 + random_below(4); k > 0; k--) change(scratch, &n);
    run(scratch, n < max_len ? n : max_len);
}

static bool number_of(const char *argument, const char *name, uint64_t *out) {
    size_t n = strlen(name);
    if (strncmp(argument, name, n) != 0) return false;
    *out = strtoull(argument + n, NULL, 10);
    return true;
}

int main(int argc, char **argv) {
    uint64_t n_runs = 0, seconds = 0, max_len = MAX_BYTES, done = 0, ignored;
    for (int i = 1; i < argc; i++) {
        if (number_of(argv[i], "-runs=", &n_runs) || number_of(argv[i], "-seed=", &random_state) ||
            number_of(argv[i], "-max_total_time=", &seconds) ||
            number_of(argv[i], "-max_len=", &max_len) || number_of(argv[i], "-", &ignored))
            continue;
        add_path(argv[i]);
    }
    uint8_t *scratch = malloc(MAX_BYTES);
    fuzz_check(n_seeds > 0 && scratch, "there are no seeds");
    signal(SIGABRT, keep_input);
    signal(SIGSEGV, keep_input);
    uint64_t start_ns = pd_clock_ns(), end_ns = start_ns + seconds * 1000000000;
    for (uint32_t i = 0; i < n_seeds; i++) run(seeds[i].data, seeds[i].n);
    for (; done < n_runs || (seconds && pd_clock_ns() < end_ns); done++)
        run_changed(scratch, (size_t)max_len);
    double elapsed = (double)(pd_clock_ns() - start_ns) / 1e9;
    printf("%" PRIu32 " seeds, %" PRIu64 " runs, %.0f a second\n", n_seeds, done,
           (double)(n_seeds + done) / elapsed);
    for (uint32_t i = 0; i < n_seeds; i++) pd_free(seeds[i].data);
    free(scratch);
    return 0;
}
