/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of scheduled tasks, phase by phase. Shared by the real loop and the tests' fake
 * one, so that both keep the same order.
 */
#ifndef LOOP_TASKS_H
#define LOOP_TASKS_H

#include "loop/loop.h"

#include <stdbool.h>

struct task_list {
    struct loop_task *head, **tail;
};

struct task_queue {
    struct task_list phases[LOOP_PHASES];
    struct loop_task *current; /* of the phase that runs: what it has still to run */
    int phase;                 /* that runs; LOOP_PHASES: all are over; -1: none has begun */
};

void task_queue_init(struct task_queue *queue);
/* A new turn begins: whatever is scheduled from now on is for its end. */
void task_queue_begin(struct task_queue *queue);
/* Runs all phases. */
void task_queue_run(struct task_queue *queue);
/* Returns true when the task is one for the next turn, which must not sleep then. */
bool task_queue_add(struct task_queue *queue, struct loop_task *task);
void task_queue_remove(struct task_queue *queue, struct loop_task *task);

#endif
