// SPDX-License-Identifier: GPL-2.0
/* exists FILE...: a result for each, named by its last part: is it there? */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int bad = 0;

	printf("TAP version 13\n1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		int missing = access(argv[i], F_OK);

		bad |= missing;
		printf("%s %d %s\n", missing ? "not ok" : "ok", i,
		       strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i]);
	}
	return bad ? 1 : 0;
}
