/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram of durations, in fixed buckets, for metrics; its counts are those of base/count.h. */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <stdint.h>

#define LATENCY_BUCKETS 12

struct latency {
    uint64_t count, sum_us;
    uint64_t buckets[LATENCY_BUCKETS]; /* up to the bound and above the one before */
};

extern const uint32_t latency_bounds_us[LATENCY_BUCKETS]; /* rising */
void latency_add(struct latency *latency, uint64_t us);
/* Adds what another has counted, perhaps on its own thread meanwhile. */
void latency_sum(struct latency *sum, const struct latency *one);

#endif
