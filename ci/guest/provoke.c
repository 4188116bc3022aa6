// SPDX-License-Identifier: GPL-2.0
/*
 * provoke TYPE...: make trouble on purpose, so that the harness's detectors can
 * be seen to fire.  SLEEP never ends, REBOOT restarts the machine; every other
 * TYPE is one of lkdtm's crash points: a single one by the process itself, more
 * by a child each, the first on CPU 0, the next on CPU 1...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRECT "/sys/kernel/debug/provoke-crash/DIRECT"

/* Trouble comes when the other end of the pipe closes, on all CPUs at once. */
static int provoke(const char *type, int cpu, int start)
{
	cpu_set_t set;
	char byte;
	int fd;

	if (!strcmp(type, "SLEEP"))
		for (;;)
			pause();
	if (!strcmp(type, "REBOOT"))
		return reboot(RB_AUTOBOOT);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	fd = open(DIRECT, O_WRONLY);
	if (sched_setaffinity(0, sizeof(set), &set) || fd < 0 ||
	    (start >= 0 && read(start, &byte, 1)) || write(fd, type, strlen(type)) < 0) {
		perror(DIRECT);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int status, bad = 0, start[2];

	if (argc == 2)
		return provoke(argv[1], 0, -1);
	if (pipe(start))
		return 1;
	for (int i = 1; i < argc; i++) {
		if (!fork()) {
			close(start[1]);
			_exit(provoke(argv[i], i - 1, start[0]));
		}
	}
	sleep(1);
	close(start[1]);
	while (wait(&status) > 0)
		bad |= status;
	if (errno != ECHILD)
		return 1;
	return bad ? 1 : 0;
}
