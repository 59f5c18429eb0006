/* Stands for a shell in the tests of system and popen: `sh -c LINE` executes the words of LINE. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char *words[64];
	int n = 0;
	if (argc != 3 || strcmp(argv[1], "-c")) return 2;
	for (char *word = strtok(argv[2], " "); word && n < 63; word = strtok(0, " ")) words[n++] = word;
	words[n] = 0;
	if (!n) return 0;
	execvp(*words, words);
	fprintf(stderr, "sh: %s: %s\n", *words, strerror(errno));
	return 126 + (errno == ENOENT);
}
