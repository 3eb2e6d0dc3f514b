/* TODO */
#include "server/prompt.h"
pd_status srv_image_fetch(const pd_server *s, const char *url, pd_image *out, pd_error *err) {
    (void)s;
    (void)url;
    (void)out;
    return PD_RAISE(err, PD_ERR_UNSUPPORTED, "pictures are not fetched");
}
