"""As much of libmount's Python module, which Debian does not build, as the suite asks for."""


class Mount:
    """A line of /proc/self/mountinfo (proc(5))."""

    def __init__(self, line):
        before, after = line.split(" - ", 1)
        self.target = before.split()[4]
        self.vfs_options = before.split()[5]
        self.fs_options = after.split()[2]


class Table:
    """Mounts, from a file like /proc/self/mountinfo."""

    def __init__(self, path):
        with open(path) as file:
            self.mounts = [Mount(line) for line in file if line.strip()]

    def find_target(self, path):
        """The uppermost mount at a path."""
        return next(mount for mount in reversed(self.mounts) if mount.target == path)
