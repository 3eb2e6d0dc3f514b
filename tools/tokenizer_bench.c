/* How fast text becomes tokens, on one core.
 *
 *     tokenizer_bench VOCAB [TEXT [RUNS]]
 *
 * VOCAB is a GGUF or Gemma 3's tokenizer.json. TEXT is a file; the default is the golden texts'
 * file, which is code and prose. The text is repeated to 8 MB at least. Prints opening and encoding
 * times, best and median.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "file/hf_tokenizer.h"
#include "text/tokenizer.h"

enum { MIN_BYTES = 8 << 20, MAX_RUNS = 101 };

static pd_status open_json(const char *path, pd_gguf **out, pd_error *err) {
    pd_hf_tokenizer t;
    pd_gguf_writer *w;
    char temp[64];
    PD_TRY(pd_hf_tokenizer_read(path, &t, err));
    snprintf(temp, sizeof temp, "/tmp/peridot-bench-%ld.gguf", (long)getpid());
    pd_status status = pd_gguf_writer_open(temp, &w, err);
    if (status == PD_OK) {
        pd_hf_tokenizer_write(&t, PD_TOKEN_END_OF_TURN, w);
        pd_gguf_begin_data(w);
        status = pd_gguf_writer_commit(w, err);
        if (status == PD_OK) status = pd_gguf_open(temp, out, err);
        unlink(temp);
    }
    pd_hf_tokenizer_free(&t);
    return status;
}

static pd_status open_file(const char *path, pd_gguf **out, pd_error *err) {
    size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".json") == 0 ? open_json(path, out, err)
                                                       : pd_gguf_open(path, out, err);
}

static int compare_ns(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static pd_status bench_opening(const pd_gguf *g, int runs, pd_error *err) {
    uint64_t ns[MAX_RUNS];
    for (int i = 0; i < runs; i++) {
        pd_vocab *v;
        uint64_t start = pd_clock_ns();
        PD_TRY(pd_vocab_open(g, &v, err));
        ns[i] = pd_clock_ns() - start;
        pd_vocab_close(v);
    }
    qsort(ns, (size_t)runs, sizeof *ns, compare_ns);
    printf("open: best %.1f ms, median %.1f ms of %d\n", (double)ns[0] / 1e6,
           (double)ns[runs / 2] / 1e6, runs);
    return PD_OK;
}

static pd_status bench_encoding(const pd_vocab *v, const pd_bytes *text, int runs, pd_error *err) {
    uint64_t ns[MAX_RUNS];
    size_t n_ids = 0, bound = pd_tokenize_bound(text->n);
    uint32_t *ids = pd_alloc(bound, sizeof *ids);
    if (!ids) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %zu ids", bound);
    pd_status status = PD_OK;
    for (int i = 0; i < runs && status == PD_OK; i++) {
        uint64_t start = pd_clock_ns();
        status = pd_vocab_encode(v, text->data, text->n, false, ids, bound, &n_ids, err);
        ns[i] = pd_clock_ns() - start;
    }
    pd_free(ids);
    if (status != PD_OK) return status;
    printf("first run: %.1f MB/s\n", (double)text->n * 1e3 / (double)ns[0]);
    qsort(ns, (size_t)runs, sizeof *ns, compare_ns);
    printf("encode: best %.1f MB/s, median %.1f MB/s of %d; %zu bytes, %zu tokens\n",
           (double)text->n * 1e3 / (double)ns[0], (double)text->n * 1e3 / (double)ns[runs / 2],
           runs, text->n, n_ids);
    return PD_OK;
}

static pd_status read_text(const char *path, pd_bytes *text, pd_error *err) {
    char *data;
    size_t n;
    PD_TRY(pd_file_read_all(path, UINT64_C(1) << 30, &data, &n, err));
    do pd_bytes_write(text, data, n);
    while (n > 0 && text->n < MIN_BYTES && !text->failed);
    pd_free(data);
    if (text->failed) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for \"%s\"", path);
    return PD_OK;
}

static pd_status bench(const char *vocab_path, const char *text_path, int runs, pd_error *err) {
    pd_gguf *g = NULL;
    pd_vocab *v = NULL;
    pd_bytes text = {0};
    pd_status status;
    PD_TRY_GOTO(read_text(text_path, &text, err));
    PD_TRY_GOTO(open_file(vocab_path, &g, err));
    PD_TRY_GOTO(bench_opening(g, runs, err));
    PD_TRY_GOTO(pd_vocab_open(g, &v, err));
    PD_TRY_GOTO(bench_encoding(v, &text, runs, err));
done:
    pd_vocab_close(v);
    if (g) pd_gguf_close(g);
    pd_bytes_free(&text);
    return status;
}

int main(int argc, char **argv) {
    pd_error err;
    int runs = argc > 3 ? atoi(argv[3]) : 11;
    if (argc < 2 || argc > 4 || runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: tokenizer_bench VOCAB.gguf|tokenizer.json [TEXT [RUNS]]\n");
        return 2;
    }
    const char *text = argc > 2 ? argv[2] : "tests/data/golden/tokenizer.jsonl";
    pd_status status = bench(argv[1], text, runs, &err);
    if (status != PD_OK) fprintf(stderr, "tokenizer_bench: %s\n", err.message);
    return pd_status_exit_code(status);
}
