// SPDX-License-Identifier: GPL-2.0
/*
 * exists DRIVER FILE...: is each character device of a driver there?  A result
 * for each, named by its last part; skipped when the kernel has no such driver.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int has_driver(const char *driver)
{
	char line[128], name[64] = "";
	FILE *f = fopen("/proc/devices", "re");
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d %63s", name) == 1 && !strcmp(name, driver);
	if (f)
		fclose(f);
	return found;
}

int main(int argc, char **argv)
{
	int bad = 0, have = argc > 1 && has_driver(argv[1]);

	printf("TAP version 13\n1..%d\n", argc - 2);
	for (int i = 2; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		int missing = access(argv[i], F_OK);

		bad |= have && missing;
		printf("%s %d %s", have && missing ? "not ok" : "ok", i - 1,
		       slash ? slash + 1 : argv[i]);
		if (have)
			printf("\n");
		else
			printf(" # SKIP the kernel has no %s\n", argv[1]);
	}
	return bad ? 1 : 0;
}
