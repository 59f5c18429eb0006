//! Error numbers of WASI preview 1, and how Linux's map to them.

use std::fmt;

/// A WASI preview 1 `errno` other than success; success is `Ok`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u16);

macro_rules! errnos {
    ($($name:ident = $number:literal, $linux:ident;)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($linux), "`")] pub const $name: Errno = Errno($number);)*

            /// The WASI number for a Linux error number; one WASI has no name for becomes `EIO`.
            #[must_use]
            pub fn from_linux(number: i32) -> Errno {
                #[allow(unreachable_patterns, reason = "some Linux names share a number")]
                match number {
                    $(libc::$linux => Errno::$name,)*
                    libc::EOPNOTSUPP => Errno::NOTSUP,
                    libc::EWOULDBLOCK => Errno::AGAIN,
                    _ => Errno::IO,
                }
            }

            /// The Linux error number of the same meaning.
            #[must_use]
            pub fn to_linux(self) -> i32 {
                match self {
                    $(Errno::$name => libc::$linux,)*
                    Errno::NOTCAPABLE => libc::EPERM,
                    _ => libc::EIO,
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($linux),)*
                    Errno::NOTCAPABLE => "ENOTCAPABLE",
                    _ => "unknown error",
                }
            }
        }
    };
}

errnos! {
    TOOBIG = 1, E2BIG; ACCES = 2, EACCES; ADDRINUSE = 3, EADDRINUSE;
    ADDRNOTAVAIL = 4, EADDRNOTAVAIL; AFNOSUPPORT = 5, EAFNOSUPPORT; AGAIN = 6, EAGAIN;
    ALREADY = 7, EALREADY; BADF = 8, EBADF; BADMSG = 9, EBADMSG; BUSY = 10, EBUSY;
    CANCELED = 11, ECANCELED; CHILD = 12, ECHILD; CONNABORTED = 13, ECONNABORTED;
    CONNREFUSED = 14, ECONNREFUSED; CONNRESET = 15, ECONNRESET; DEADLK = 16, EDEADLK;
    DESTADDRREQ = 17, EDESTADDRREQ; DOM = 18, EDOM; DQUOT = 19, EDQUOT; EXIST = 20, EEXIST;
    FAULT = 21, EFAULT; FBIG = 22, EFBIG; HOSTUNREACH = 23, EHOSTUNREACH; IDRM = 24, EIDRM;
    ILSEQ = 25, EILSEQ; INPROGRESS = 26, EINPROGRESS; INTR = 27, EINTR; INVAL = 28, EINVAL;
    IO = 29, EIO; ISCONN = 30, EISCONN; ISDIR = 31, EISDIR; LOOP = 32, ELOOP; MFILE = 33, EMFILE;
    MLINK = 34, EMLINK; MSGSIZE = 35, EMSGSIZE; MULTIHOP = 36, EMULTIHOP;
    NAMETOOLONG = 37, ENAMETOOLONG; NETDOWN = 38, ENETDOWN; NETRESET = 39, ENETRESET;
    NETUNREACH = 40, ENETUNREACH; NFILE = 41, ENFILE; NOBUFS = 42, ENOBUFS; NODEV = 43, ENODEV;
    NOENT = 44, ENOENT; NOEXEC = 45, ENOEXEC; NOLCK = 46, ENOLCK; NOLINK = 47, ENOLINK;
    NOMEM = 48, ENOMEM; NOMSG = 49, ENOMSG; NOPROTOOPT = 50, ENOPROTOOPT; NOSPC = 51, ENOSPC;
    NOSYS = 52, ENOSYS; NOTCONN = 53, ENOTCONN; NOTDIR = 54, ENOTDIR; NOTEMPTY = 55, ENOTEMPTY;
    NOTRECOVERABLE = 56, ENOTRECOVERABLE; NOTSOCK = 57, ENOTSOCK; NOTSUP = 58, ENOTSUP;
    NOTTY = 59, ENOTTY; NXIO = 60, ENXIO; OVERFLOW = 61, EOVERFLOW; OWNERDEAD = 62, EOWNERDEAD;
    PERM = 63, EPERM; PIPE = 64, EPIPE; PROTO = 65, EPROTO; PROTONOSUPPORT = 66, EPROTONOSUPPORT;
    PROTOTYPE = 67, EPROTOTYPE; RANGE = 68, ERANGE; ROFS = 69, EROFS; SPIPE = 70, ESPIPE;
    SRCH = 71, ESRCH; STALE = 72, ESTALE; TIMEDOUT = 73, ETIMEDOUT; TXTBSY = 74, ETXTBSY;
    XDEV = 75, EXDEV;
}

impl Errno {
    /// The capability filter or a descriptor's rights refuse the call; Linux has no such number.
    pub const NOTCAPABLE: Errno = Errno(76);

    /// The number as the guest sees it.
    #[must_use]
    pub fn raw(self) -> u16 {
        self.0
    }

    /// Linux's error of the calling thread's last failed libc call.
    #[must_use]
    pub fn last() -> Errno {
        Errno::from_linux(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        Errno::from_linux(error.raw_os_error())
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Errno::from_linux(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn linux_numbers_keep_their_meaning_both_ways() {
        for number in 1..=133 {
            let errno = Errno::from_linux(number);
            if errno != Errno::IO {
                assert_eq!(errno.to_linux(), number, "{errno}");
            }
        }
        assert_eq!(Errno::from_linux(libc::ENOENT).raw(), 44);
        assert_eq!(Errno::from_linux(libc::EXDEV).raw(), 75);
        assert_eq!(Errno::from_linux(libc::ELIBBAD), Errno::IO);
    }
}
