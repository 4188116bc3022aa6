// SPDX-License-Identifier: GPL-2.0
/*
 * What "test_vmalloc.sh smoke" does, without a shell and in fewer rounds: load
 * the test module, which refuses to stay loaded when it is done, and turn the
 * summary that it prints to the kernel's log into TAP.  The slower the guest, by its
 * limit_scale, the fewer the rounds.  A part of it that holds more pages at once than
 * are free, which is the end of the machine, is left out, and so is one that wants more
 * addresses than there are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Asks for alignments up to half of the address space, so it fails by design. */
#define FAILS	"align_shift_alloc_test"
#define MODULE	"/modules/test_vmalloc.ko"
#define PARAMS	"single_cpu_test=1 test_loop_count=%d test_repeat_count=%d run_test_mask=%d"
#define LOOPS	4000		/* on real hardware */
#define REPEATS	12

static int rows;

/* The pages that fit between the kernel's vmalloc addresses. */
static unsigned long long space(long page)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long long total = 0, used = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "VmallocTotal: %llu", &total);
		sscanf(line, "VmallocUsed: %llu", &used);
	}
	if (f)
		fclose(f);
	return (total - used) / (page / 1024);
}

/* The parts that there is memory for: the module's mask of them. */
static int leave_out(void)
{
	long page = sysconf(_SC_PAGESIZE), cpus = sysconf(_SC_NPROCESSORS_ONLN), bits = 0;
	struct sysinfo info;
	unsigned long long have, addresses = space(page);
	int mask = INT_MAX;

	for (; cpus; cpus >>= 1)
		bits++;
	struct {
		const char *name;
		int bit;
		long pages;
		unsigned long long addresses;	/* that it fails without, guard pages included */
	} big[] = {
		{ "full_fit_alloc_test", 2, 2 * bits * ((32 << 20) / page), 0 },
		{ "long_busy_list_alloc_test", 4, 15000, 2 * 15000 },
	};

	sysinfo(&info);
	have = (unsigned long long)info.freeram * info.mem_unit / page;
	for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
		/* And what the kernel writes down of each. */
		if (big[i].pages + big[i].pages / 8 > (long long)have)
			printf("ok %d %s # SKIP it holds %ld pages at once, %llu are free\n",
			       ++rows, big[i].name, big[i].pages, have);
		else if (big[i].addresses > addresses)
			printf("ok %d %s # SKIP it wants addresses for %llu pages, there are %llu\n",
			       ++rows, big[i].name, big[i].addresses, addresses);
		else
			continue;
		mask &= ~big[i].bit;
	}
	return mask;
}

int main(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	int module = open(MODULE, O_RDONLY);
	int slow = atoi(getenv("limit_scale") ?: "1") ?: 1;
	int bad = 0;
	char record[8192], params[128];
	ssize_t n;

	if (module < 0) {
		printf("no %s: %s\n", MODULE, strerror(errno));
		return 4;
	}
	if (log < 0 || lseek(log, 0, SEEK_END) < 0) {
		perror("/dev/kmsg");
		return 1;
	}
	printf("TAP version 13\n");
	snprintf(params, sizeof(params), PARAMS, LOOPS / slow ?: 1, REPEATS / slow ?: 1,
		 leave_out());
	printf("# %s\n", params);
	if (!syscall(SYS_finit_module, module, params, 0) || errno != EAGAIN) {
		perror("loading " MODULE);
		return 1;
	}
	while ((n = read(log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		char name[64], *text;
		int passed, failed;

		if (n <= 0)
			continue;
		record[n] = '\0';
		text = strstr(record, "Summary: ");
		if (!text || sscanf(text, "Summary: %63s passed: %d failed: %d",
				    name, &passed, &failed) != 3)
			continue;
		if (!strcmp(name, FAILS)) {
			printf("ok %d %s # SKIP fails by design: it asks for impossible alignments\n",
			       ++rows, name);
			continue;
		}
		if (failed || !passed)
			bad++;
		printf("%s %d %s # %d passed, %d failed\n",
		       failed || !passed ? "not ok" : "ok", ++rows, name, passed, failed);
	}
	printf("1..%d\n", rows);
	return bad || !rows;
}
