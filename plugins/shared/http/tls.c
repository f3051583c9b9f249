/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of a handle of libcurl; see tls.h. */
#include "http/tls.h"

#include <string.h>

static CURLcode set_blob(CURL *easy, CURLoption option, struct http_bytes bytes)
{
    struct curl_blob blob = {NULL, bytes.len, CURL_BLOB_COPY};
    if (!bytes.data)
        return CURLE_OK;
    memcpy(&blob.data, &bytes.data, sizeof blob.data); /* libcurl reads it only */
    return curl_easy_setopt(easy, option, &blob);
}

/* Sets options one after the other; the first failure stays. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK)                                                                      \
            code = curl_easy_setopt(easy, option, value);                                          \
    } while (0)

CURLcode http_set_tls(CURL *easy, const struct http_ask *ask)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, ask->skip_verify ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, ask->skip_verify ? 0L : 2L);
    if (ask->ca.data) { /* the system's folder would be trusted besides */
        SET(CURLOPT_CAINFO, (char *)NULL);
        SET(CURLOPT_CAPATH, (char *)NULL);
    }
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_CAINFO_BLOB, ask->ca);
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_SSLCERT_BLOB, ask->cert);
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_SSLKEY_BLOB, ask->key);
    return code;
}
