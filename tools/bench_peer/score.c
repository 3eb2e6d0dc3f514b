/* How probable token lists are to Peridot and to llama.cpp: the sums from which perplexities and
 * accuracies are made.
 *
 *     score_peer --peer-libs DIR -m FILE [--peer-model FILE] [--device D] [--precision P] [-t N]
 *                [--ours-only] <rows >sums
 *
 * A row is a line of JSON, {"ids": [2, 818, ...], "first": 4}: the tokens that follow positions
 * `first` and later are scored. Its answer is {"n": 7, "ours": -12.3, "theirs": -12.4}, in nats;
 * with the greatest difference of one token as "worst". At most 2048 ids.
 *
 * SPDX-License-Identifier: MIT
 */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bench_peer.h"
#include "peridot.h"
#include "peridot_measure.h"

enum { MAX_IDS = 2048 };

typedef struct score {
    peer_desc peer;
    pd_model_desc model_desc;
    pd_session_desc session_desc;
    const char *model_path;
    pd_model *model;
    pd_session *session;
    peer *p;
    uint32_t ids[MAX_IDS], n_ids, first;
    float ours[MAX_IDS], theirs[MAX_IDS];
} score;

static pd_status read_row(score *s, const char *line, pd_error *err) {
    cJSON *j = cJSON_Parse(line), *ids = cJSON_GetObjectItem(j, "ids"), *id;
    cJSON *first = cJSON_GetObjectItem(j, "first");
    uint32_t n_vocab = pd_model_get_info(s->model)->n_vocab;
    bool good = cJSON_IsNumber(first) && first->valuedouble >= 0 && cJSON_IsArray(ids);
    s->n_ids = 0;
    cJSON_ArrayForEach(id, ids) {
        good = good && cJSON_IsNumber(id) && id->valuedouble >= 0 && id->valuedouble < n_vocab &&
               s->n_ids < MAX_IDS;
        if (good) s->ids[s->n_ids++] = (uint32_t)id->valuedouble;
    }
    good = good && first->valuedouble + 1 < s->n_ids;
    if (good) s->first = (uint32_t)first->valuedouble;
    cJSON_Delete(j);
    return good ? PD_OK : PD_RAISE(err, PD_ERR_ARGUMENT, "not a row of ids: %.60s", line);
}

static pd_status score_row(score *s, pd_error *err) {
    double ours = 0, theirs = 0, worst = 0;
    uint32_t n = s->n_ids - 1 - s->first;
    PD_TRY(pd_session_log_probs(s->session, s->ids, s->n_ids, s->first, s->ours, NULL, err));
    if (s->p) PD_TRY(peer_log_probs(s->p, s->ids, s->n_ids, s->first, s->theirs, err));
    for (uint32_t i = 0; i < n; i++) {
        ours += (double)s->ours[i];
        theirs += (double)s->theirs[i];
        worst = fmax(worst, fabs((double)s->ours[i] - (double)s->theirs[i]));
    }
    printf("{\"n\": %u, \"ours\": %.6f", n, ours);
    if (s->p) printf(", \"theirs\": %.6f, \"worst\": %.6f", theirs, worst);
    printf("}\n");
    return PD_OK;
}

static pd_status score_rows(score *s, pd_error *err) {
    char *line = NULL;
    size_t size = 0;
    pd_status status = PD_OK;
    while (status == PD_OK && getline(&line, &size, stdin) > 0) {
        status = read_row(s, line, err);
        if (status == PD_OK) status = score_row(s, err);
    }
    free(line);
    return status;
}

static const struct option FLAGS[] = {{"peer-libs", 1, NULL, 'l'}, {"peer-model", 1, NULL, 'p'},
                                      {"device", 1, NULL, 'd'},    {"precision", 1, NULL, 'e'},
                                      {"ours-only", 0, NULL, 'o'}, {NULL, 0, NULL, 0}};

static bool read_precision(const char *name, pd_precision *out) {
    static const char *const names[] = {
        [PD_PRECISION_F16] = "f16", [PD_PRECISION_EXACT] = "exact", [PD_PRECISION_Q8] = "q8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (pd_precision)i;
        return true;
    }
    return false;
}

static pd_status read_flags(int argc, char **argv, score *s, bool *ours_only, pd_error *err) {
    bool good = true;
    for (int flag; (flag = getopt_long(argc, argv, "m:t:", FLAGS, NULL)) != -1;) {
        switch (flag) {
        case 'm': s->model_path = optarg; break;
        case 't': s->peer.n_threads = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'l': s->peer.libs_dir = optarg; break;
        case 'p': s->peer.model_path = optarg; break;
        case 'd': s->model_desc.device = optarg; break;
        case 'e': good = good && read_precision(optarg, &s->session_desc.precision); break;
        case 'o': *ours_only = true; break;
        default: good = false;
        }
    }
    if (!good || !s->model_path || argc != optind || !(s->peer.libs_dir || *ours_only))
        return PD_RAISE(err, PD_ERR_ARGUMENT, "bad arguments; see the head of score.c");
    if (!s->peer.model_path) s->peer.model_path = s->model_path;
    s->model_desc.n_threads = s->peer.n_threads;
    return PD_OK;
}

static pd_status run(int argc, char **argv, score *s, pd_error *err) {
    bool ours_only = false;
    PD_TRY(read_flags(argc, argv, s, &ours_only, err));
    PD_TRY(pd_model_open(s->model_path, &s->model_desc, &s->model, err));
    PD_TRY(pd_session_create(s->model, &s->session_desc, &s->session, err));
    if (!ours_only) PD_TRY(peer_open(&s->peer, &s->p, err));
    if (s->p) PD_TRY(peer_context_create(s->p, MAX_IDS, 1, err));
    return score_rows(s, err);
}

int main(int argc, char **argv) {
    pd_error err = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    score *s = pd_alloc(1, sizeof *s);
    if (!s) return 1;
    s->peer.n_threads = 2;
    s->model_desc.device = "cpu";
    s->session_desc = (pd_session_desc){.n_ctx = MAX_IDS, .all_logits = true};
    pd_status status = run(argc, argv, s, &err);
    if (status != PD_OK) fprintf(stderr, "score_peer: %s\n", err.message);
    pd_session_destroy(s->session);
    peer_close(s->p);
    pd_model_close(s->model);
    pd_free(s);
    return status == PD_OK ? 0 : pd_status_exit_code(status);
}
