/* Children of toybox's commands, by spawn where it has vfork. */
#include <sys/sysinfo.h>
#include "toys.h"
#include <spawn.h>

/* What xwaitpid gives for a child that could not be started, as the child itself would have. */
#define NO_CHILD -2
static int no_child_status;

static pid_t spawn(char **argv, posix_spawn_file_actions_t *actions)
{
  pid_t pid;
  int error;

  // What was written so far comes before what the child writes.
  fflush(0);
  error = posix_spawnp(&pid, *argv, actions, 0, argv, environ);
  posix_spawn_file_actions_destroy(actions);
  if (!error) return pid;
  errno = error;
  no_child_status = toys.exitval = 126+(error == ENOENT);
  perror_msg("exec %s", *argv);
  return NO_CHILD;
}

/* Runs a command with this file as its input. */
pid_t spawn_from(char **argv, char *input)
{
  posix_spawn_file_actions_t actions;

  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
  return spawn(argv, &actions);
}

/* Runs a command with this descriptor as its input and output. */
pid_t spawn_on(char **argv, int fd)
{
  posix_spawn_file_actions_t actions;

  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fd, 0);
  posix_spawn_file_actions_adddup2(&actions, fd, 1);
  if (fd>2) posix_spawn_file_actions_addclose(&actions, fd);
  return spawn(argv, &actions);
}

pid_t xpopen_setup(char **argv, int *pipes, void (*callback)(char **argv))
{
  posix_spawn_file_actions_t actions;
  int made[2][2] = {{0}}, i;
  pid_t pid;

  if (callback || !argv) error_exit("not without fork");
  posix_spawn_file_actions_init(&actions);
  if (pipes) for (i = 0; i<2; i++) {
    // pipes[0] becomes the child's input, pipes[1] its output; -1 asks for a pipe.
    int theirs = pipes[i];

    if (theirs == -1) {
      if (pipe(made[i])) perror_exit("pipe");
      fcntl(made[i][!i], F_SETFD, FD_CLOEXEC);
      theirs = made[i][i];
    }
    if (theirs != i) {
      posix_spawn_file_actions_adddup2(&actions, theirs, i);
      posix_spawn_file_actions_addclose(&actions, theirs);
    }
  }
  pid = spawn(argv, &actions);
  if (pipes) for (i = 0; i<2; i++) if (made[i][0] || made[i][1]) {
    close(made[i][i]);
    pipes[i] = made[i][!i];
  }
  return pid;
}

int xwaitpid(pid_t pid)
{
  int status;

  if (pid == NO_CHILD) return no_child_status;
  while (-1 == waitpid(pid, &status, 0)) if (errno != EINTR) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)+128;
}

/* What `ps` asks the system, from its files. */
int sysinfo(struct sysinfo *info)
{
  FILE *fp = fopen("/proc/uptime", "r");

  memset(info, 0, sizeof(*info));
  if (!fp) return -1;
  fscanf(fp, "%lu", &info->uptime);
  fclose(fp);
  if ((fp = fopen("/proc/meminfo", "r"))) {
    fscanf(fp, "MemTotal: %lu", &info->totalram);
    fclose(fp);
  }
  info->totalram = info->totalram < 0x3fffff ? info->totalram * 1024 : 0xfffffc00;
  return 0;
}
