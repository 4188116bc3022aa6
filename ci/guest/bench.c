// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what operations of the memory management cost.  Runs as a guest under
 * "qemu -icount shift=0", where one instruction takes one nanosecond: the time
 * that an operation takes is the number of its instructions.
 *
 *   bench [GLOB...]	runs the rows of that name, or all; prints for each
 *	ok N ROW # instructions=N copies=N|- needed=0|1
 *
 * Both figures are per page of the row's kind (4 KiB, 2 MiB), or per operation
 * where that is no matter of pages.  Copies are counted from the page frames
 * before and after, in pages of 4 KiB; "needed" says whether a copy has to be
 * there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1U
#endif

#define ROUNDS		9		/* measured, after one that is not */
#define MANY_ROUNDS	33		/* of rows that are a single operation */
#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define BASE_BYTES	(8UL << 20)
#define HUGE_BYTES	(32UL << 20)
#define PLACE		((char *)0x4000000000)	/* the same page tables in every row */
#define CHUNK		(16 * PAGE)

/* /sys/kernel/debug/gup_test, as mainline has it */
struct gup_test {
	uint64_t get_delta_usec;
	uint64_t put_delta_usec;
	uint64_t addr;
	uint64_t size;
	uint32_t nr_pages_per_call;
	uint32_t gup_flags;
	uint32_t test_flags;
	uint32_t which_pages[8];
};
#define GUP_FAST_BENCHMARK	_IOWR('g', 1, struct gup_test)
#define PIN_FAST_BENCHMARK	_IOWR('g', 2, struct gup_test)
#define GUP_BASIC_TEST		_IOWR('g', 4, struct gup_test)
#define PIN_BASIC_TEST		_IOWR('g', 5, struct gup_test)
#define FOLL_WRITE		1

/* The kinds of memory: letters in a row's "kinds" */
static const struct kind {
	char letter;
	const char *name;
	size_t page, bytes;
} kinds[] = {
	{ '-', NULL, PAGE, 0 },
	{ 'b', "base", PAGE, BASE_BYTES },
	{ 't', "thp", HUGE, HUGE_BYTES },
	{ 'p', "pte-thp", PAGE, BASE_BYTES },	/* a huge page mapped by PTEs */
	{ 'h', "hugetlb", HUGE, HUGE_BYTES },
	{ 'f', "tmpfs", PAGE, BASE_BYTES },	/* shared */
	{ 'c', "tmpfs-private", PAGE, BASE_BYTES },
};

static char name[64];			/* of the row */
static int number;
static const struct kind *kind;
static char *mem;
static size_t len, page;
static int file = -1, ring = -1;
static pid_t child;
static uint64_t *frames;		/* what remember() saw, or NULL */
static char buffer[CHUNK] __attribute__((aligned(4096)));

static void __attribute__((noreturn, format(printf, 2, 3)))
end(const char *how, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	dprintf(1, "%s %d %s # %s%s\n", *how == 'f' ? "not ok" : "ok", number, name,
		*how == 's' ? "SKIP " : "", why);
	_exit(0);
}

#define skip(...) end("skip", __VA_ARGS__)
#define fail(...) end("fail", __VA_ARGS__)

static void must(int good, const char *what)
{
	if (!good)
		fail("%s: %s", what, strerror(errno));
}

static inline uint64_t now(void)
{
#ifdef __x86_64__
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
#endif
}

/* -------- page frames -------- */

#define PRESENT		(1ULL << 63)
#define SWAPPED		(1ULL << 62)
#define FRAME		((1ULL << 55) - 1)

static void pagemap(uint64_t *entry)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t bytes = len / PAGE * sizeof(*entry);
	off_t at = (uintptr_t)mem / PAGE * sizeof(*entry);

	must(fd >= 0, "/proc/self/pagemap");
	must(pread(fd, entry, bytes, at) == (ssize_t)bytes, "reading pagemap");
	close(fd);
}

/* From here on, a page that is in another frame at the end was copied. */
static void remember(void)
{
	static uint64_t before[HUGE_BYTES / PAGE];

	frames = before;
	pagemap(frames);
	for (size_t i = 0; i < len / PAGE; i++)
		if (!(frames[i] & PRESENT) || !(frames[i] & FRAME))
			fail("page %zu is not there before the operation", i);
}

static size_t copies(void)
{
	static uint64_t after[HUGE_BYTES / PAGE];
	size_t n = 0;

	pagemap(after);
	for (size_t i = 0; i < len / PAGE; i++) {
		if (!(after[i] & PRESENT))
			fail("page %zu is not there after the operation", i);
		n += (after[i] & FRAME) != (frames[i] & FRAME);
	}
	return n;
}

static void must_be_swapped(void)
{
	static uint64_t entry[HUGE_BYTES / PAGE];

	pagemap(entry);
	for (size_t i = 0; i < len / PAGE; i++)
		if (!(entry[i] & SWAPPED))
			fail("page %zu did not go to the swap device", i);
}

static long huge_kb(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start;
	char line[256];
	long kb = -1;
	int here = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-", &start) == 1 && strchr(line, '-'))
			here = start == (uintptr_t)mem;
		if (here && sscanf(line, "AnonHugePages: %ld", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb;
}

static void must_be_huge(void)
{
	long want = kind->letter == 't' ? len / 1024 : 0;

	if ((kind->letter == 't' || kind->letter == 'p') && huge_kb() != want)
		fail("%ld kB are mapped by PMDs, it should be %ld", huge_kb(), want);
}

/* -------- parts of operations -------- */

static void write_pages(void)
{
	for (char *p = mem; p < mem + len; p += PAGE)
		*(volatile char *)p = 1;
}

static void write_units(void)
{
	for (char *p = mem; p < mem + len; p += page)
		*(volatile char *)p = 1;
}

static void read_units(void)
{
	for (char *p = mem; p < mem + len; p += page)
		(void)*(volatile char *)p;
}

static void populate(void)
{
	write_pages();
	for (char *p = mem; kind->letter == 'p' && p < mem + len; p += HUGE)
		must(!mprotect(p, PAGE, PROT_NONE) &&
		     !mprotect(p, PAGE, PROT_READ | PROT_WRITE), "mprotect");
	must_be_huge();
}

static void fork_exit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	must(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
}

static void start_child(void)
{
	child = fork();
	must(child >= 0, "fork");
	if (child) {
		sched_yield();		/* until it sleeps */
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void end_child(void)
{
	kill(child, SIGKILL);
	must(waitpid(child, NULL, 0) == child, "waitpid");
}

static void populate_exit(void)
{
	populate();
	fork_exit();
}

static void populate_child(void)
{
	populate();
	start_child();
}

static void page_out(void)
{
	must(!madvise(mem, len, MADV_PAGEOUT), "MADV_PAGEOUT");
}

/* zram keeps a page of one repeated word as that word, nothing is compressed. */
static void populate_swapped(void)
{
	populate();
	for (size_t i = 0; i < len / PAGE; i++)
		memset(mem + i * PAGE, i % 255 + 1, PAGE);
	page_out();
	must_be_swapped();
}

static void populate_swapped_read(void)
{
	populate_swapped();
	read_units();
}

static void populate_swapped_child(void)
{
	populate_swapped();
	start_child();
}

static void populate_swapped_shared_exit(void)
{
	populate_swapped_child();
	read_units();
	end_child();
}

static void map_again(void)
{
	write_pages();
	must(!madvise(mem, len, MADV_DONTNEED), "MADV_DONTNEED");
}

static void mprotect_cycle(void)
{
	mprotect(mem, len, PROT_READ);
	mprotect(mem, len, PROT_READ | PROT_WRITE);
}

static void mprotect_write(void)
{
	mprotect_cycle();
	write_pages();
}

static void clear_refs(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && write(fd, "4", 1) == 1, "/proc/self/clear_refs");
	close(fd);
}

static void soft_dirty_write(void)
{
	clear_refs();
	write_pages();
}

static void unmap(void)
{
	munmap(mem, len);
	mem = NULL;
}

static void gup(unsigned long command, int batch, int flags)
{
	struct gup_test arg = {
		.addr = (uintptr_t)mem, .size = len, .nr_pages_per_call = batch,
		.gup_flags = flags,
	};

	if (ioctl(file, command, &arg))
		fail("gup_test: %s", strerror(errno));
	if (arg.size != len)
		fail("gup_test took %llu of %zu bytes", (unsigned long long)arg.size, len);
}

static void gup_open(void)
{
	populate();
	file = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
	if (file < 0)
		skip("no gup_test in this kernel");
}

static void gup_fast(void) { gup(GUP_FAST_BENCHMARK, 512, FOLL_WRITE); }
static void gup_slow(void) { gup(GUP_BASIC_TEST, 512, FOLL_WRITE); }
static void pin_fast(void) { gup(PIN_FAST_BENCHMARK, 512, FOLL_WRITE); }
static void pin_fast_read(void) { gup(PIN_FAST_BENCHMARK, 512, 0); }
static void pin_fast_one(void) { gup(PIN_FAST_BENCHMARK, 1, FOLL_WRITE); }
static void pin_slow(void) { gup(PIN_BASIC_TEST, 512, FOLL_WRITE); }
static void pin_slow_read(void) { gup(PIN_BASIC_TEST, 512, 0); }

/* A pin that lasts: a registered buffer. */
static void pin(void)
{
	struct io_uring_params par = { 0 };
	struct iovec iov = { mem, len };

	populate();
	ring = syscall(SYS_io_uring_setup, 1, &par);
	if (ring < 0)
		skip("io_uring: %s", strerror(errno));
	must(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1),
	     "IORING_REGISTER_BUFFERS");
	remember();
}

static void unpin(void)
{
	must(!syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0),
	     "IORING_UNREGISTER_BUFFERS");
}

static void exit_write(void)
{
	fork_exit();
	write_pages();
}

static void page_out_write(void)
{
	page_out();
	write_pages();
}

static void page_out_read_write(void)
{
	page_out();
	read_units();
	write_pages();
}

static void disk_open(void)
{
	populate();
	file = open("/dev/ram0", O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (file < 0)
		skip("/dev/ram0: %s", strerror(errno));
}

static void disk_open_exit(void)
{
	disk_open();
	fork_exit();
}

static void disk_read(size_t chunk)
{
	for (size_t at = 0; at < len; at += chunk)
		if (pread(file, mem + at, chunk, at % BASE_BYTES) != (ssize_t)chunk)
			fail("O_DIRECT: %s", strerror(errno));
}

static void disk_read_chunks(void) { disk_read(32 * PAGE); }
static void disk_read_pages(void) { disk_read(PAGE); }

static void vmsplice_read(void)
{
	int fd[2];

	must(!pipe(fd), "pipe");
	for (size_t at = 0; at < len; at += CHUNK) {
		struct iovec iov = { mem + at, CHUNK };

		must(vmsplice(fd[1], &iov, 1, 0) == (ssize_t)CHUNK, "vmsplice");
		must(read(fd[0], buffer, CHUNK) == (ssize_t)CHUNK, "read");
	}
	close(fd[0]);
	close(fd[1]);
}

static void vm_read(void)
{
	for (size_t at = 0; at < len; at += CHUNK) {
		struct iovec to = { buffer, CHUNK }, from = { mem + at, CHUNK };

		must(syscall(SYS_process_vm_readv, getpid(), &to, 1UL, &from, 1UL, 0UL) ==
		     (ssize_t)CHUNK, "process_vm_readv");
	}
}

static void *units[BASE_BYTES / PAGE];
static int nodes[BASE_BYTES / PAGE], status[BASE_BYTES / PAGE];

static void populate_list(void)
{
	populate();
	for (size_t i = 0; i < len / page; i++) {
		units[i] = mem + i * page;
		nodes[i] = 1;
	}
}

static void migrate(void)
{
	if (syscall(SYS_move_pages, 0, len / page, units, nodes, status, 2) < 0) {
		if (errno == ENODEV || errno == ENOSYS)
			skip("move_pages: %s", strerror(errno));
		fail("move_pages: %s", strerror(errno));
	}
}

static void must_be_moved(void)
{
	for (size_t i = 0; i < len / page; i++)
		if (status[i] != 1)
			fail("page %zu did not move: %d", i, status[i]);
}

/* -------- the rows -------- */

enum { NO_COPIES, NEEDED, NEEDLESS };

static const struct row {
	const char *name, *kinds;
	void (*prepare)(void), (*run)(void), (*finish)(void);
	void (*loop)(void);	/* what of run() is no work of the kernel's */
	int copies;
	int whole;		/* figures are per operation */
	int free;		/* may be no work of the kernel's at all */
} rows[] = {
#define FAULT(loop) loop, NO_COPIES, 0
	{ "anon-write", "bth", NULL, write_units, must_be_huge, FAULT(write_units) },
	{ "anon-read", "bt", NULL, read_units, NULL, FAULT(read_units) },
	{ "file-read", "f", map_again, read_units, NULL, FAULT(read_units) },
	{ "file-write", "f", map_again, write_units, NULL, FAULT(write_units) },
	{ "file-new", "f", NULL, write_units, NULL, FAULT(write_units) },
	{ "file-cow", "c", NULL, write_units, NULL, FAULT(write_units) },
	{ "swap-in-read", "b", populate_swapped, read_units, NULL, FAULT(read_units) },
	{ "swap-in-write", "b", populate_swapped, write_units, NULL, FAULT(write_units) },
	{ "swap-in-shared", "b", populate_swapped_child, read_units, end_child,
	  FAULT(read_units) },
#define WRITE(copies) write_pages, copies, 0
	{ "swap-in-then-write", "b", populate_swapped_read, write_pages, NULL,
	  WRITE(NEEDLESS), .free = 1 },
	{ "swap-in-exit-write", "b", populate_swapped_shared_exit, write_pages, NULL,
	  WRITE(NEEDLESS) },
	{ "page-out", "bt", populate, page_out, must_be_swapped, NULL, NO_COPIES, 0 },
	{ "fork-exit", "-btph", populate, fork_exit, NULL, NULL, NO_COPIES, 1 },
	{ "fork-exit-pinned", "bth", pin, fork_exit, unpin, NULL, NO_COPIES, 1 },
	{ "exit-write", "btph", populate_exit, write_pages, NULL, WRITE(NEEDLESS) },
	{ "cow", "btph", populate_child, write_pages, end_child, WRITE(NEEDED) },
	{ "mprotect", "btph", populate, mprotect_cycle, NULL, NULL, NO_COPIES, 0 },
	{ "mprotect-write", "btph", populate, mprotect_write, NULL, WRITE(NEEDLESS) },
	{ "soft-dirty-write", "bt", populate, soft_dirty_write, NULL, WRITE(NEEDLESS) },
	{ "munmap", "btphf", populate, unmap, NULL, NULL, NO_COPIES, 0 },
#define GUP(kinds, run) kinds, gup_open, run, NULL, NULL, NO_COPIES, 0
	{ "gup-fast", GUP("bth", gup_fast) },
	{ "gup-slow", GUP("bth", gup_slow) },
	{ "pin-fast", GUP("bth", pin_fast) },
	{ "pin-fast-read", GUP("bth", pin_fast_read) },
	{ "pin-fast-one", GUP("bth", pin_fast_one) },
	{ "pin-slow", GUP("bth", pin_slow) },
	{ "pin-slow-read", GUP("bth", pin_slow_read) },
	{ "vmsplice-read", "bt", populate, vmsplice_read, NULL, NULL, NEEDLESS, 0 },
	{ "vm-read", "bt", populate, vm_read, NULL, NULL, NEEDLESS, 0 },
	{ "dio-read", "bth", disk_open, disk_read_chunks, NULL, NULL, NEEDLESS, 0 },
	{ "dio-read-one", "b", disk_open, disk_read_pages, NULL, NULL, NEEDLESS, 0 },
	{ "dio-read-exit", "btp", disk_open_exit, disk_read_chunks, NULL, NULL, NEEDLESS, 0 },
	{ "migrate", "bth", populate_list, migrate, must_be_moved, NULL, NO_COPIES, 0 },
	{ "pinned-mprotect-write", "bth", pin, mprotect_write, unpin, WRITE(NEEDLESS) },
	{ "pinned-soft-dirty-write", "bt", pin, soft_dirty_write, unpin, WRITE(NEEDLESS) },
	{ "pinned-exit-write", "bth", pin, exit_write, unpin, WRITE(NEEDLESS) },
	{ "pinned-page-out-write", "b", pin, page_out_write, unpin, WRITE(NEEDLESS) },
	{ "pinned-page-out-read-write", "b", pin, page_out_read_write, unpin, WRITE(NEEDLESS) },
};

static void map(void)
{
	int flags = MAP_FIXED_NOREPLACE, anon = 1;

	len = kind->bytes;
	page = kind->page;
	mem = PLACE;
	if (!len)
		return;
	if (kind->letter == 'f' || kind->letter == 'c') {
		file = syscall(SYS_memfd_create, "bench", MFD_CLOEXEC);
		must(file >= 0 && !ftruncate(file, len), "memfd_create");
		anon = 0;
	}
	for (size_t at = 0; kind->letter == 'c' && at < len; at += CHUNK)
		must(write(file, buffer, CHUNK) == (ssize_t)CHUNK, "write");
	flags |= kind->letter == 'f' ? MAP_SHARED : MAP_PRIVATE;
	flags |= anon ? MAP_ANONYMOUS : 0;
	flags |= kind->letter == 'h' ? MAP_HUGETLB : 0;
	if (mmap(mem, len, PROT_READ | PROT_WRITE, flags, file, 0) != mem)
		skip("mmap: %s", strerror(errno));
	if (kind->letter == 't' || kind->letter == 'p') {
		if (madvise(mem, len, MADV_HUGEPAGE))
			skip("MADV_HUGEPAGE: %s", strerror(errno));
	} else if (kind->letter == 'b') {
		madvise(mem, len, MADV_NOHUGEPAGE);
	}
}

/* One round; the clock itself and the loop in here are not counted. */
static int64_t measure(const struct row *row, double *copied)
{
	uint64_t start, took, overhead;

	map();
	frames = NULL;
	if (row->prepare)
		row->prepare();
	if (row->copies && !frames)
		remember();
	start = now();
	row->run();
	took = now() - start;
	if (row->copies)
		*copied = copies();
	start = now();
	if (row->loop)
		row->loop();
	overhead = now() - start;
	if (row->finish)
		row->finish();
	if (mem && len)
		munmap(mem, len);
	if (ring >= 0)
		close(ring);
	if (file >= 0)
		close(file);
	ring = file = -1;
	return took - overhead;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The mean of the middle half: neither ticks nor refills of a cache decide. */
static double middle(int64_t *count, int rounds)
{
	int first = rounds / 4, last = rounds - 1 - rounds / 4;
	double sum = 0;

	qsort(count, rounds, sizeof(*count), compare);
	for (int i = first; i <= last; i++)
		sum += count[i];
	return sum / (last - first + 1);
}

/*
 * Five ticks for all that has to wait while a row runs: init that passes results
 * on, work queues, RCU.  Then free memory in large blocks, as little depends on
 * what was there before as can be.
 */
static void settle(void)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);

	usleep(50000);
	must(fd >= 0 && write(fd, "1", 1) == 1, "compact_memory");
	close(fd);
}

/*
 * Free pages go back from the CPU's list in batches.  Begin each round at another
 * place of a batch, so that the mean does not depend on where the first began.
 */
static void shift(void)
{
	must(mmap(NULL, 7 * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) != MAP_FAILED, "mmap");
}

static void run_row(const struct row *row)
{
	int rounds = row->whole ? MANY_ROUNDS : ROUNDS;
	double copied = 0, total = 0, instructions;
	size_t per = row->whole ? 1 : kind->bytes / kind->page;
	int64_t count[MANY_ROUNDS];
	char text[32] = "-";

	settle();
	measure(row, &copied);
	for (int i = 0; i < rounds; i++) {
		shift();
		count[i] = measure(row, &copied);
		total += copied;
	}
	instructions = middle(count, rounds) / per;
	if (row->free && instructions > -1 && instructions <= 0)
		instructions = 0;
	else if (instructions <= 0)
		fail("it took no instruction");
	if (row->copies == NEEDED && !total)
		fail("no page was copied where one has to be");
	if (row->copies)
		snprintf(text, sizeof(text), "%.4f", total / rounds / per);
	end("ok", "instructions=%.2f copies=%s needed=%d", instructions, text,
	    row->copies == NEEDED);
}

/*
 * With a program for it to run when all others sleep, the CPU never idles: where
 * QEMU moves an idle guest's clock on, two runs part.
 */
static void never_idle(void)
{
	struct sched_param none = { 0 };
	pid_t driver = getpid();

	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != driver || sched_setscheduler(0, SCHED_IDLE, &none))
		_exit(1);
	for (;;)
		asm volatile("" : : : "memory");
}

/*
 * Nobody else gets the CPU while an operation runs, least of all the program that
 * never idles: its turn lasts until the next tick, as long as a fork.
 */
static void come_first(void)
{
	struct sched_param first = { .sched_priority = 1 };

	must(!sched_setscheduler(0, SCHED_FIFO, &first), "SCHED_FIFO");
}

/* Two million instructions that no compiler changes take that many ticks. */
static void check_clock(void)
{
#ifdef __x86_64__
	uint64_t loops = 1000000, start = now(), took;

	asm volatile("1: dec %0; jnz 1b" : "+r"(loops) : : "cc");
	took = now() - start;
	if (took < 1990000 || took > 2100000)
		fail("2000000 instructions took %llu ticks: is this qemu -icount shift=0?",
		     (unsigned long long)took);
	end("ok", "instructions=%.2f copies=- needed=0", took / 1e6);
#else
	skip("not known how on this arch");
#endif
}

static int chosen(char **globs)
{
	if (!*globs)
		return 1;
	for (; *globs; globs++)
		if (!fnmatch(*globs, name, 0))
			return 1;
	return 0;
}

/* Each row is a process, so that none sees what another left behind. */
static void run_all(char **globs, int really, int *count)
{
	for (const struct row *row = rows; row < rows + sizeof(rows) / sizeof(*rows); row++) {
		for (const char *k = row->kinds; *k; k++) {
			pid_t pid;
			int how = 0;

			for (kind = kinds; kind->letter != *k; kind++)
				;
			snprintf(name, sizeof(name), "%s%s%s", row->name,
				 kind->name ? "." : "", kind->name ?: "");
			if (!chosen(globs))
				continue;
			number = ++*count;
			if (!really)
				continue;
			pid = fork();
			if (!pid)
				run_row(row);
			if (pid < 0 || waitpid(pid, &how, 0) != pid || how)
				dprintf(1, "not ok %d %s # it ended with %#x\n", number, name,
					how);
		}
	}
}

int main(int argc, char **argv)
{
	char **globs = argv + (argc > 0);
	int count = 1;
	pid_t pid;

	run_all(globs, 0, &count);
	dprintf(1, "TAP version 13\n1..%d\n", count);
	strcpy(name, "clock");
	number = count = 1;
	pid = fork();
	if (!pid)
		check_clock();
	waitpid(pid, NULL, 0);
	never_idle();
	come_first();
	run_all(globs, 1, &count);
	return 0;
}
