/* What a server's refusal means, in one sentence and advice. The hub tells in X-Error-Code what is
 * missing or closed; it answers 401 to those without a token also for repositories that are not
 * there, so as not to tell private ones. Other servers may leave the code out.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "hub/fetch.h"

static pd_status raise_gated(const fetch_place *p, pd_error *err) {
    if (p->token) {
        pd_status status = PD_RAISE(err, PD_ERR_IO,
                                    "the token is known, but its account may not read %s", p->repo);
        return pd_error_hint(err, status,
                             "accept the licence at %s/%s with that account; the token itself must "
                             "be one that reads gated repositories",
                             p->endpoint, p->repo);
    }
    pd_status status =
        PD_RAISE(err, PD_ERR_IO, "%s is given only to accounts that accepted its licence", p->repo);
    return pd_error_hint(err, status,
                         "accept it at %s/%s, then set HF_TOKEN to a token of that account",
                         p->endpoint, p->repo);
}

static pd_status raise_token(const fetch_place *p, pd_error *err) {
    pd_status status = PD_RAISE(err, PD_ERR_IO, "%s refuses the token", p->endpoint);
    return pd_error_hint(err, status,
                         "it may have ended; set HF_TOKEN to a new one, or unset it "
                         "for repositories that are open to all");
}

static pd_status raise_absent(const fetch_place *p, pd_error *err) {
    pd_status status =
        PD_RAISE(err, PD_ERR_ARGUMENT, "there is no repository %s at %s%s", p->repo, p->endpoint,
                 p->token ? " that the token may see" : ", or it is a private one");
    return p->token ? status
                    : pd_error_hint(err, status,
                                    "check the name; a private repository needs HF_TOKEN, a gated "
                                    "one its licence accepted at %.120s as well",
                                    p->endpoint);
}

static pd_status raise_forbidden(const fetch_place *p, const fetch_request *r, pd_error *err) {
    const char *code = r->answer.error_code;
    if (strcmp(code, "RepoNotFound") == 0) return raise_absent(p, err);
    if (strcmp(code, "GatedRepo") == 0 || r->answer.status == 403 || !p->token)
        return raise_gated(p, err);
    return raise_token(p, err);
}

static pd_status raise_not_found(const fetch_place *p, const fetch_request *r, pd_error *err) {
    const char *code = r->answer.error_code;
    if (strcmp(code, "RepoNotFound") == 0) return raise_absent(p, err);
    if (strcmp(code, "EntryNotFound") == 0)
        return PD_RAISE(err, PD_ERR_IO, "%s lists a file that is not there: %s", p->endpoint,
                        r->url);
    pd_status status =
        strcmp(code, "RevisionNotFound") == 0
            ? PD_RAISE(err, PD_ERR_ARGUMENT, "%s has no revision %s", p->repo, p->revision)
            : PD_RAISE(err, PD_ERR_ARGUMENT, "%s has no %s, or no revision %s of it", p->endpoint,
                       p->repo, p->revision);
    return pd_error_hint(err, status, "--revision takes a branch, a tag or a commit");
}

pd_status fetch_raise_refusal(const fetch_place *p, fetch_request *r, pd_error *err) {
    long code = r->answer.status;
    if (code == 401 || code == 403) return raise_forbidden(p, r, err);
    if (code == 404) return raise_not_found(p, r, err);
    if (code == 429) {
        pd_status status = PD_RAISE(err, PD_ERR_IO, "%s wants fewer requests", p->endpoint);
        return r->answer.retry_after
                   ? pd_error_hint(err, status, "it asks to wait for %u s", r->answer.retry_after)
                   : pd_error_hint(err, status, "wait a while, or set HF_TOKEN");
    }
    r->transient = code >= 500;
    return PD_RAISE(err, PD_ERR_IO, "%s answers with status %ld", p->endpoint, code);
}
