/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a CPU may reorder, for spin, which itself knows sequential consistency
 * only: a process runs one do loop whose steps may be taken in any order that
 * their guards leave.  A guard names the steps that have to be done before;
 * there is one for each dependency and barrier that the kernel's memory model
 * (tools/memory-model/) lets the code count on, and for nothing else.
 *
 * Between two processes that is all there is: a store that becomes visible late
 * is a step taken late, a load that is speculated is a step taken early.  (With
 * three, a store could reach one of the others before it reaches the third.)
 * A read-modify-write is one step, at the time of its store.
 */
#define BIT(step)	(1 << (step))

/* @done: the steps taken so far, @after: those that must have been */
#define STEP(done, step, after, what)					\
	d_step {							\
		!(done & BIT(step)) && (done & (after)) == (after) ->	\
		what;							\
		done = done | BIT(step)					\
	}
