/* SPDX-License-Identifier: Apache-2.0 */
/* From half a millisecond, a machine's own network, to the five seconds of a failing dial. */
#include "base/latency.h"

#include "base/count.h"

const uint32_t latency_bounds_us[LATENCY_BUCKETS] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000};

void latency_add(struct latency *latency, uint64_t us)
{
    unsigned i = 0;
    while (i < LATENCY_BUCKETS && us > latency_bounds_us[i])
        i++;
    if (i < LATENCY_BUCKETS)
        count_add(&latency->buckets[i], 1);
    count_add(&latency->count, 1);
    count_add(&latency->sum_us, us);
}

void latency_sum(struct latency *sum, const struct latency *one)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        sum->buckets[i] += count_read(&one->buckets[i]);
    sum->count += count_read(&one->count);
    sum->sum_us += count_read(&one->sum_us);
}
