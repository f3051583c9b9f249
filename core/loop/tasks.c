/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the work of the end of a turn, phase by phase, first scheduled first. */
#include "loop/tasks.h"
#include "base/object.h"

void task_queue_init(struct task_queue *queue)
{
    for (int i = 0; i < LOOP_PHASES; i++) {
        queue->phases[i].head = NULL;
        queue->phases[i].tail = &queue->phases[i].head;
    }
    queue->current = NULL;
    queue->phase = -1;
}

void task_queue_begin(struct task_queue *queue)
{
    queue->phase = -1;
}

/* Tasks that are scheduled for this phase while it runs stay in the phase's list. */
static void run_phase(struct task_queue *queue, int phase)
{
    struct task_list *list = &queue->phases[phase];
    queue->phase = phase;
    if (list->head == NULL)
        return;
    queue->current = list->head;
    queue->current->prev = &queue->current;
    list->head = NULL;
    list->tail = &list->head;
    while (queue->current != NULL) {
        struct loop_task *task = queue->current;
        task_queue_remove(queue, task);
        task->fn(task->arg); /* may free the task */
    }
}

void task_queue_run(struct task_queue *queue)
{
    for (int i = 0; i < LOOP_PHASES; i++)
        run_phase(queue, i);
    queue->phase = LOOP_PHASES;
}

bool task_queue_add(struct task_queue *queue, struct loop_task *task)
{
    if (task->scheduled)
        return false;
    must(task->phase < LOOP_PHASES);
    struct task_list *list = &queue->phases[task->phase];
    task->scheduled = 1;
    task->next = NULL;
    task->prev = list->tail;
    *list->tail = task;
    list->tail = &task->next;
    return task->phase <= queue->phase;
}

void task_queue_remove(struct task_queue *queue, struct loop_task *task)
{
    if (!task->scheduled)
        return;
    struct task_list *list = &queue->phases[task->phase];
    *task->prev = task->next;
    if (task->next != NULL)
        task->next->prev = task->prev;
    else if (list->tail == &task->next)
        list->tail = task->prev;
    task->next = NULL;
    task->prev = NULL;
    task->scheduled = 0;
}

void loop_task_init(struct loop_task *task, int phase, burrow_timer_fn *fn, void *arg)
{
    must(phase >= 0 && phase < LOOP_PHASES);
    *task = (struct loop_task){.fn = fn, .arg = arg, .phase = (uint8_t)phase};
}
