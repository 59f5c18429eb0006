"""Processes for CPython on WASI, by the virtual kernel's file /proc/vkernel.

    import vkernel              # subprocess, os.system and the like work from here on

CPython for WASI has no fork and no exec, so subprocess refuses. This module gives subprocess the
few functions it builds on, as it would find them on Linux, and os what programs use besides. Each
child is a process of the same virtual kernel, executed by its file's digest and with its own
rights; Python's entry in the manifest must grant what the calls need (capabilities.md): clone and
execve to make a child, wait4 to wait, pipe2, fcntl, kill, getpid.

What differs from Linux: preexec_fn, user, group, extra_groups and umask raise. The interface of
the file is in runtime-spec/vkernel-abi.md, "By a file".
"""

import errno
import os
import shutil
import subprocess
import sys

_FILE = "/proc/vkernel"
_ANSWER = 4096
_LAST = 2**32 - 1

# WASI's ENOTCAPABLE: a right that Python's entry in the manifest lacks.
_ENOTCAPABLE = 76


def _call(*fields, about=None):
    """Performs one request and gives its results, numbers; raises OSError.

    With `about` a descriptor that is looked at before the answer is read.
    """
    request = b"".join(_field(field) + b"\0" for field in fields)
    fd = os.open(_FILE, os.O_RDWR)
    try:
        os.write(fd, request)
        if about is not None:
            os.fstat(about)
        error, *results = map(int, os.read(fd, _ANSWER).split())
    finally:
        os.close(fd)
    if error:
        error = errno.EPERM if error == _ENOTCAPABLE else error
        raise OSError(error, os.strerror(error))
    return results


def _field(value):
    field = b"%d" % value if isinstance(value, int) else os.fsencode(value)
    if b"\0" in field:
        raise ValueError("embedded null byte")
    return field


def _kernels(fd):
    """The kernel's number of a descriptor: CPython for WASI may number its own in another way."""
    return _call("locate", about=fd)[0]


def _environment():
    return [os.fsencode(key) + b"=" + os.fsencode(value) for key, value in os.environ.items()]


def _spawn(kind, name, argv, env, *, actions=(), group=("inherit", 0)):
    flat = [field for action in actions for field in action]
    return _call("spawn", kind, name, "", *group, len(actions), *flat, len(argv), *argv, *env)[0]


def spawn_tool(name, args=()):
    """Starts an agent tool of the manifest by its name; gives its process number."""
    return _spawn("tool", name, [name, *args], _environment())


# What os has on Linux.

WNOHANG, WUNTRACED, WCONTINUED = 1, 2, 8


def waitpid(pid, options, /):
    return tuple(_call("wait", pid, options))


def wait():
    return waitpid(-1, 0)


def kill(pid, sig, /):
    _call("kill", pid, int(sig))


def killpg(group, sig, /):
    kill(-group, sig)


def getpid():
    return _call("getpid")[0]


def getppid():
    return _call("getppid")[0]


def pipe():
    """Two descriptors that children do not inherit (PEP 446)."""
    ends = _call("pipe", 1)
    try:
        made = []
        for end, flags in zip(ends, (os.O_RDONLY, os.O_WRONLY)):
            made.append(os.open(f"/proc/self/fd/{end}", flags))
            set_inheritable(made[-1], False)
    finally:
        for end in ends:
            _call("close", end)
    return tuple(made)


def set_inheritable(fd, inheritable, /):
    _call("cloexec", _kernels(fd), int(not inheritable))


def WTERMSIG(status):
    return status & 0x7F


def WEXITSTATUS(status):
    return status >> 8 & 0xFF


def WSTOPSIG(status):
    return WEXITSTATUS(status)


def WIFEXITED(status):
    return WTERMSIG(status) == 0


def WIFSTOPPED(status):
    return status & 0xFF == 0x7F


def WIFSIGNALED(status):
    return WTERMSIG(status) not in (0, 0x7F)


def waitstatus_to_exitcode(status):
    if WIFEXITED(status):
        return WEXITSTATUS(status)
    if WIFSIGNALED(status):
        return -WTERMSIG(status)
    raise ValueError(f"invalid wait status: {status}")


def system(command):
    """The command's wait status; needs a /bin/sh in the container."""
    sys.stdout.flush()
    try:
        pid = _spawn("path", "/bin/sh", ["sh", "-c", command], _environment())
    except OSError:
        return 127 << 8
    return waitpid(pid, 0)[1]


# What subprocess has on Linux.


def _redirections(sources):
    """Actions that make 0, 1 and 2 duplicates of these descriptors, -1 being left as it is."""
    pairs = [(source, target) for target, source in enumerate(sources) if source != -1]
    # One that is itself among the three is first put where none of the others overwrites it.
    spare = 1 + max([2, *sources])
    actions, placed = [], []
    for source, target in pairs:
        if source < 3 and source != target:
            actions.append(("dup2", source, spare))
            source, spare = spare, spare + 1
        placed.append(("dup2", source, target))
    return actions + placed + [("closerange", fd, fd) for _, fd, _ in actions]


def _closing_all_but(kept):
    """Actions that close every descriptor above 2 but these."""
    first, actions = 3, []
    for fd in sorted(fd for fd in kept if fd > 2):
        if first < fd:
            actions.append(("closerange", first, fd - 1))
        first = fd + 1
    return [*actions, ("closerange", first, _LAST)]


def _fork_exec(args, executable_list, close_fds, pass_fds, cwd, env_list,
               p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, errpipe_read, errpipe_write,
               restore_signals, start_new_session, process_group, gid, gids, uid, umask, preexec_fn,
               allow_vfork=True):
    """As _posixsubprocess.fork_exec, with a spawn in the fork's place."""
    if preexec_fn is not None or uid is not None or gid is not None or gids is not None or umask != -1:
        raise ValueError("preexec_fn, user, group, extra_groups and umask are not available here")
    actions = _redirections([fd if fd == -1 else _kernels(fd) for fd in (p2cread, c2pwrite, errwrite)])
    # What is passed has in the child the number that Python knows it by. The pipe for errors is not:
    # a child that cannot start does not exist.
    pass_fds = [fd for fd in pass_fds if fd != errpipe_write]
    high = 1 + max([2, *pass_fds, *(fd for action in actions for fd in action[1:])])
    for at, fd in enumerate(pass_fds, high):
        actions.append(("dup2", _kernels(fd), at))
    for at, fd in enumerate(pass_fds, high):
        actions.append(("dup2", at, fd))
    if close_fds:
        actions += _closing_all_but(pass_fds)
    if cwd is not None:
        actions.append(("chdir", cwd))
    group = ("inherit", 0)
    if start_new_session:
        group = ("session", 0)
    elif process_group >= 0:
        group = ("group", process_group)
    env = _environment() if env_list is None else env_list
    error = None
    for name in executable_list:
        try:
            return _spawn("path", name, list(args), env, actions=actions, group=group)
        except OSError as failed:
            if error is None or failed.errno not in (errno.ENOENT, errno.ENOTDIR):
                error = failed
    culprit = args[0] if cwd is None or os.path.isdir(cwd) else cwd
    raise OSError(error.errno, error.strerror, os.fsdecode(culprit))


def _access_check(path, mode):
    """WASI does not tell who may execute a file: execution decides."""
    return os.path.exists(path) and not os.path.isdir(path)


def _install():
    for name in ("waitpid", "wait", "kill", "killpg", "getpid", "getppid", "pipe", "set_inheritable",
                 "system", "waitstatus_to_exitcode", "WTERMSIG", "WEXITSTATUS", "WSTOPSIG", "WIFEXITED",
                 "WIFSTOPPED", "WIFSIGNALED", "WNOHANG", "WUNTRACED", "WCONTINUED"):
        setattr(os, name, globals()[name])
    given = {
        "_can_fork_exec": True,
        "_fork_exec": _fork_exec,
        "_waitpid": waitpid,
        "_waitstatus_to_exitcode": waitstatus_to_exitcode,
        "_WIFSTOPPED": WIFSTOPPED,
        "_WSTOPSIG": WSTOPSIG,
        "_WNOHANG": WNOHANG,
    }
    vars(subprocess).update(given)
    shutil._access_check = _access_check
    # Two methods took what there was when they were defined: nothing.
    for method in (subprocess.Popen._handle_exitstatus, subprocess.Popen._internal_poll):
        code = method.__code__
        names = code.co_varnames[code.co_argcount - len(method.__defaults__):code.co_argcount]
        method.__defaults__ = tuple(given.get(name, value) for name, value in zip(names, method.__defaults__))


_install()
