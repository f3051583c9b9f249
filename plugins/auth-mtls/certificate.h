/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a certificate names, and for how long. It has been verified by then; what is read here
 * is still what its authority let the client write into it, so that only one clear name counts.
 */
#ifndef AUTH_MTLS_CERTIFICATE_H
#define AUTH_MTLS_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_SUBJECT_MAX 128u /* bytes */

/* The one field that holds the name: never a second one when the first is not there, since an
 * authority may vouch for one and let the client choose the other. */
enum name_field { NAME_CN, NAME_DNS, NAME_URI, NAME_EMAIL, NAME_FIELDS };

struct certificate_name {
    char subject[CERTIFICATE_SUBJECT_MAX + 1];
    size_t len;
    int64_t not_before_ms, not_after_ms; /* Unix time */
};

/* "cn", "dns", "uri", "email"; NAME_FIELDS for anything else. */
enum name_field name_field_parse(const char *text);

/* 0; BURROW_EDENIED with a constant reason when the certificate has no such name, several, or
 * one that is empty, too long or holds control characters or NUL; or BURROW_ENOMEM. */
int certificate_name(const uint8_t *der, size_t len, enum name_field field,
                     struct certificate_name *ret, const char **ret_reason);

#endif
