// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's only process of its own: prepares the machine as /plan says, runs
 * the tests that /plan lists, one by one and each within its limit, and reports
 * them as KTAP on a channel apart from the console.
 *
 * /plan, one directive a line, words parted by blanks:
 *   write FILE VALUE...      write a value into a file of proc or sysfs
 *   mount TYPE DIR           mount a file system, the folder is made
 *   swap ZRAM SIZE           set up a zram device (zram0, 256M) and swap on it
 *   hugetlb SIZE             reserve that much memory as default huge pages
 *   insmod FILE PARAM...     load a module
 *   nodes DRIVER PATH COUNT  make the character devices PATH0, PATH1... that
 *                            the driver did not get from devtmpfs
 *   test NAME SECONDS USER DIR PROGRAM ARG...
 *
 * Kernel command line: limit_scale=N multiplies every limit, ktap=DEV names the
 * channel where there is no virtio port called "ktap": /dev/kmsg is one that shares the
 * console with the kernel.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifdef __sparc__
#define THE_END		RB_POWER_OFF	/* OpenBIOS does not start anew */
#else
#define THE_END		RB_AUTOBOOT
#endif

#define MAX_WORDS	32
#define KILL_GRACE_S	10		/* for a killed test to die */
#define HEARTBEAT_S	5		/* so that the host tells busy from hung */
#define MAX_RECORD	900		/* bytes of one record of the kernel's log */
#define MAX_OUTPUT	(512 * 1024)	/* bytes of one test that are passed on */

static int ktap = -1;
static int ktap_is_kmsg;
static int kmsg = -1;
static int limit_scale = 1;
static int test_count;

/*
 * The kernels of openrisc and nios2 can neither restart nor switch off.  QEMU's virt has a
 * register for it, nios2's QEMU a semihosting call.
 */
static void end_machine(void)
{
#ifdef __or1k__
	int mem = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	volatile uint32_t *finisher = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
					   mem, 0x96000000);

	if (finisher != MAP_FAILED)
		*finisher = 0x5555;
#elif defined __nios2__
	register long call __asm__("r4") = 0, status __asm__("r5") = 0;	/* exit(0) */

	__asm__ volatile("break 1" : : "r" (call), "r" (status) : "memory");
#endif
	reboot(THE_END);
}

/* Lines as records of the kernel's log, which takes a thousand bytes and no more. */
static void say_records(const char *text)
{
	char record[MAX_RECORD + 16];

	while (*text) {
		int len = strcspn(text, "\n"), last = len <= MAX_RECORD;

		if (!last)
			len = MAX_RECORD;
		snprintf(record, sizeof(record), "<6>ktap%c%.*s", last ? '.' : ':', len, text);
		if (write(ktap, record, strlen(record)) < 0)
			return;
		text += len + (last && text[len]);
	}
}

static void say(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int len, done = 0;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (ktap_is_kmsg) {
		say_records(line);
		return;
	}
	while (done < len) {
		ssize_t n = write(ktap, line + done, len - done);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			done += n;
	}
}

/*
 * Into the kernel's log, so that the console shows what ran when.  Not with
 * dprintf(), which gives up because this file cannot tell its position.
 */
static void note(const char *what, const char *name)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "<6>init: %s %s\n", what, name);

	if (write(kmsg, line, len) != len)
		say("# setup: write /dev/kmsg: %s\n", strerror(errno));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = strlen(text), n;

	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	close(fd);
	return n == len ? 0 : -1;
}

static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

/* Which kernel runs: the host holds it against what it has built. */
static void say_build_id(void)
{
	unsigned char notes[4096], *end = notes, *p = notes;
	int fd = open("/sys/kernel/notes", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, notes, sizeof(notes));
	char hex[2 * 64 + 1] = "";

	if (fd >= 0)
		close(fd);
	end += n > 0 ? n : 0;
	while (!*hex && end - p > (ssize_t)sizeof(Elf32_Nhdr)) {
		Elf32_Nhdr *note = (Elf32_Nhdr *)p;
		unsigned char *name = p + sizeof(*note);
		unsigned char *id = name + (note->n_namesz + 3) / 4 * 4;

		p = id + (note->n_descsz + 3) / 4 * 4;
		if (p > end || note->n_descsz > 64 || note->n_type != NT_GNU_BUILD_ID ||
		    note->n_namesz != 4 || memcmp(name, "GNU", 4))
			continue;
		for (unsigned int i = 0; i < note->n_descsz; i++)
			sprintf(hex + 2 * i, "%02x", id[i]);
	}
	if (*hex)
		say("# build-id %s\n", hex);
	else
		say("# setup: find its build id in /sys/kernel/notes\n");
}

static unsigned long long parse_size(const char *text)
{
	char *end;
	unsigned long long size = strtoull(text, &end, 0);

	switch (*end) {
	case 'G':
		size <<= 10;
		/* fall through */
	case 'M':
		size <<= 10;
		/* fall through */
	case 'K':
		size <<= 10;
	}
	return size;
}

static long meminfo_kb(const char *field)
{
	char line[128];
	long value = -1;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			value = strtol(line + strlen(field), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

/* -------- preparing the machine -------- */

static int setup_hugetlb(const char *size)
{
	long page_kb = meminfo_kb("Hugepagesize:");
	long want = 0, got;
	char text[32];

	if (page_kb <= 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	want = (parse_size(size) / 1024 + page_kb - 1) / page_kb;
	snprintf(text, sizeof(text), "%ld", want);
	if (write_file("/proc/sys/vm/nr_hugepages", text))
		return -1;
	got = meminfo_kb("HugePages_Total:");
	if (got == want)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* The header that mkswap writes: a version-1 area without bad pages. */
static int write_swap_header(const char *dev, unsigned long long size)
{
	long page = sysconf(_SC_PAGESIZE);
	uint32_t head[3] = { 1, size / page - 1, 0 };
	char *block = calloc(1, page);
	int fd = open(dev, O_WRONLY | O_CLOEXEC);
	int ret = -1;

	if (block && fd >= 0) {
		memcpy(block + 1024, head, sizeof(head));
		memcpy(block + page - 10, "SWAPSPACE2", 10);
		if (pwrite(fd, block, page, 0) == page)
			ret = 0;
	}
	free(block);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int setup_swap(const char *zram, const char *size)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s/disksize", zram);
	if (write_file(path, size))
		return -1;
	snprintf(path, sizeof(path), "/dev/%s", zram);
	if (write_swap_header(path, parse_size(size)))
		return -1;
	return swapon(path, 0);
}

static int load_module(char **word)
{
	char params[512] = "";
	int fd, status;
	pid_t child;

	for (int i = 2; word[i]; i++) {
		strncat(params, word[i], sizeof(params) - strlen(params) - 2);
		strcat(params, " ");
	}
	fd = open(word[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* Openrisc's base cannot load all that it says it did, and kills who asked for it. */
	child = fork();
	if (!child)
		_exit(syscall(SYS_finit_module, fd, params, 0) ? errno : 0);
	close(fd);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return errno ? -1 : 0;
}

static int make_nodes(const char *driver, const char *path, int count)
{
	FILE *f = fopen("/proc/devices", "re");
	char line[128], name[64], node[300];
	int major, found = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%d %63s", &major, name) == 2 && !strcmp(name, driver))
			found = major;
	if (f)
		fclose(f);
	errno = ENODEV;
	for (int i = 0; found >= 0 && i < count; i++) {
		snprintf(node, sizeof(node), "%s%d", path, i);
		if (mknod(node, S_IFCHR | 0600, makedev(found, i)) && errno != EEXIST)
			return -1;
	}
	return found < 0 ? -1 : 0;
}

/* What could not be prepared is reported; the tests that need it will tell. */
static void prepare(char **word, int words)
{
	char value[512] = "";
	int ret = -1;

	errno = EINVAL;
	if (!strcmp(word[0], "write") && words > 2) {
		for (int i = 2; i < words; i++)
			snprintf(value + strlen(value), sizeof(value) - strlen(value),
				 "%s%s", i > 2 ? " " : "", word[i]);
		ret = write_file(word[1], value);
	} else if (!strcmp(word[0], "mount") && words == 3) {
		mkdir(word[2], 0777);
		ret = mount(word[1], word[2], word[1], 0, NULL);
	} else if (!strcmp(word[0], "swap") && words == 3) {
		ret = setup_swap(word[1], word[2]);
	} else if (!strcmp(word[0], "hugetlb") && words == 2) {
		ret = setup_hugetlb(word[1]);
	} else if (!strcmp(word[0], "insmod") && words >= 2) {
		ret = load_module(word);
	} else if (!strcmp(word[0], "nodes") && words == 4) {
		ret = make_nodes(word[1], word[2], atoi(word[3]));
	}
	if (ret)
		say("# setup: %s %s: %s\n", word[0], words > 1 ? word[1] : "",
		    strerror(errno));
}

/* -------- running one test -------- */

struct output {
	char line[1024];	/* the line that is being read */
	size_t len;
	char last[256];		/* the last line that was not empty */
	size_t passed_on;	/* bytes */
};

static int is_ktap(const char *line)
{
	return !strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7) ||
	       !strncmp(line, "1..", 3) || !strncmp(line, "TAP version", 11) ||
	       !strncmp(line, "KTAP version", 12) || !strncmp(line, "Bail out!", 9);
}

static void emit_line(struct output *out)
{
	char *text = out->line;

	text[out->len] = '\0';
	out->len = 0;
	/* Programs may rewrite a line with carriage returns: keep its end. */
	if (strrchr(text, '\r') && strrchr(text, '\r')[1])
		text = strrchr(text, '\r') + 1;
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c) && *c != '\t')
			*c = ' ';
	while (*text && isspace((unsigned char)text[strlen(text) - 1]))
		text[strlen(text) - 1] = '\0';
	if (!*text)
		return;
	snprintf(out->last, sizeof(out->last), "%.250s", text);
	if (out->passed_on > MAX_OUTPUT && !is_ktap(text))
		return;
	out->passed_on += strlen(text);
	say("    %s%s\n", is_ktap(text) || *text == '#' ? "" : "# ", text);
	if (out->passed_on > MAX_OUTPUT)
		say("    # more output than %d bytes, the rest is left out\n",
		    MAX_OUTPUT);
}

static void take_output(struct output *out, const char *buf, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != '\n' && out->len < sizeof(out->line) - 1)
			out->line[out->len++] = buf[i];
		else if (buf[i] == '\n' || out->len == sizeof(out->line) - 1)
			emit_line(out);
	}
}

static void exec_test(char **word, int out)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	if (strcmp(word[3], "root")) {
		/* The one other user there is: nobody. */
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534)) {
			perror("becoming nobody");
			_exit(126);
		}
	}
	if (chdir(word[4]) == 0)
		execv(word[5], word + 5);
	printf("%s: %s\n", word[5], strerror(errno));
	fflush(stdout);
	_exit(127);
}

/* Ask the kernel where everybody is, before evidence is destroyed. */
static void show_stacks(void)
{
	write_file("/proc/sysrq-trigger", "w");
	write_file("/proc/sysrq-trigger", "l");
}

/*
 * Wait for the test and pass its output on.  Return 0 when it ended within its
 * limit, 1 when it had to be killed, -1 when it could not even be killed.
 */
static int wait_test(pid_t pid, int fd, double limit, struct output *out, int *status)
{
	double deadline = now() + limit, beat = now();
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int killed = 0, dead = 0, open_end = 1;
	char buf[4096];

	while (!dead || open_end) {
		if (open_end && poll(&pfd, 1, 50) > 0) {
			ssize_t n = read(fd, buf, sizeof(buf));

			if (n > 0)
				take_output(out, buf, n);
			else if (n == 0)
				open_end = 0;
		} else if (!open_end) {
			usleep(20000);
		}
		if (!dead && waitpid(pid, status, WNOHANG) == pid) {
			dead = 1;
			deadline = now() + 2;	/* for what is still in the pipe */
		}
		if (now() >= beat + HEARTBEAT_S) {
			beat = now();
			say("# alive\n");
		}
		if (now() < deadline)
			continue;
		if (dead)
			break;
		if (killed)
			return -1;
		killed = 1;
		note("timeout", "");
		show_stacks();
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		deadline = now() + KILL_GRACE_S * limit_scale;
	}
	return killed;
}

static void run_test(char **word)
{
	const char *name = word[1];
	double limit = atof(word[2]) * limit_scale, start;
	struct output out = { .len = 0 };
	int fds[2], status = 0, ended, code;
	pid_t pid;

	test_count++;
	say("# begin %s\n", name);
	note("begin", name);
	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0) {
		say("not ok %d %s # harness: %s\n", test_count, name, strerror(errno));
		return;
	}
	start = now();
	if (!pid)
		exec_test(word, fds[1]);
	close(fds[1]);
	ended = wait_test(pid, fds[0], limit, &out, &status);
	if (out.len)
		emit_line(&out);
	close(fds[0]);
	kill(-pid, SIGKILL);
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	note("end", name);
	say("# seconds %s %.2f\n", name, now() - start);
	code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (ended < 0) {
		say("not ok %d %s # unkillable after %.0f s\n", test_count, name, limit);
		say("Bail out! %s cannot be killed\n", name);
	} else if (ended > 0) {
		say("not ok %d %s # timeout after %.0f s\n", test_count, name, limit);
	} else if (code == 0) {
		say("ok %d %s\n", test_count, name);
	} else if (code == 4) {
		say("ok %d %s # SKIP %s\n", test_count, name, out.last);
	} else if (code > 0) {
		say("not ok %d %s # exit=%d\n", test_count, name, code);
	} else {
		say("not ok %d %s # signal=%d\n", test_count, name, WTERMSIG(status));
	}
	if (ended < 0)
		end_machine();
}

/* -------- the channel -------- */

static int find_virtio_port(char *path, size_t size)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	char file[300], name[64];
	int found = 0;

	while (dir && !found && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "/sys/class/virtio-ports/%s/name",
			 entry->d_name);
		if (!read_file(file, name, sizeof(name)) && !strcmp(name, "ktap")) {
			snprintf(path, size, "/dev/%s", entry->d_name);
			found = 1;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static void open_channel(void)
{
	char path[300] = "";
	struct termios raw;

	if (getenv("ktap"))
		snprintf(path, sizeof(path), "%s", getenv("ktap"));
	else
		find_virtio_port(path, sizeof(path));
	ktap = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	ktap_is_kmsg = !strcmp(path, "/dev/kmsg");
	if (ktap < 0) {
		note("cannot open the result channel", path);
		end_machine();
	}
	if (!tcgetattr(ktap, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(ktap, TCSANOW, &raw);
	}
}

static int split(char *line, char **word)
{
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *w = strtok(line, " \t"); w && n < MAX_WORDS - 1; w = strtok(NULL, " \t"))
		word[n++] = w;
	word[n] = NULL;
	return n;
}

int main(void)
{
	static const char * const dirs[][2] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" },
		{ "debugfs", "/sys/kernel/debug" }, { "tmpfs", "/tmp" },
		{ "tmpfs", "/dev/shm" },
	};
	char line[4096], *word[MAX_WORDS];
	FILE *plan;
	int planned = 0;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		mkdir(dirs[i][1], 01777);
		mount(dirs[i][0], dirs[i][1], dirs[i][0], 0, NULL);
	}
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (getenv("limit_scale"))
		limit_scale = atoi(getenv("limit_scale")) ?: 1;
	open_channel();
	setenv("PATH", "/bin", 1);
	setenv("HOME", "/tmp", 1);

	plan = fopen("/plan", "re");
	while (plan && fgets(line, sizeof(line), plan))
		planned += !strncmp(line, "test ", 5);
	say("KTAP version 1\n1..%d\n", planned);
	say_build_id();
	if (plan)
		rewind(plan);
	while (plan && fgets(line, sizeof(line), plan)) {
		int words = split(line, word);

		if (!words || word[0][0] == '#')
			continue;
		if (!strcmp(word[0], "test") && words >= 6)
			run_test(word);
		else
			prepare(word, words);
	}
	say("# end\n");
	note("end of plan", "");
	sync();
	usleep(100000);
	end_machine();
	return 0;
}
