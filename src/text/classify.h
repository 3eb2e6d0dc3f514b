/* What each token of a list is, from its string and id; private to src/text.
 *
 *     pd_classify_init, then pd_classify_check for every token in order, then pd_classify.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TEXT_CLASSIFY_H
#define PD_TEXT_CLASSIFY_H

#include "text/vocab.h"

#define PD_SPACE_MARK "\xE2\x96\x81" /* U+2581, how SentencePiece writes a space */

typedef struct pd_classifier {
    uint32_t count;
    bool has_head; /* ids below 238 follow Gemma's layout */
    bool has_tail; /* and so do those from 255968 on */
} pd_classifier;

void pd_classify_init(pd_classifier *c, uint32_t count);
void pd_classify_check(pd_classifier *c, uint32_t id, pd_string s);
pd_token_kind pd_classify(const pd_classifier *c, uint32_t id, pd_string s);
int pd_classify_byte(pd_string s); /* value of a "<0xHH>" token, or -1 */

#endif
