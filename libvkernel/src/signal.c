/* Signals. */
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
#include "internal.h"

#define SIGNALS 65

static struct { void (*handler)(int); int flags; } handlers[SIGNALS];

/* SIG_IGN and SIG_ERR: function pointers are small numbers here, so only a function's own differs from all. */
void __SIG_IGN(int signal) {}
void __SIG_ERR(int signal) { __builtin_trap(); }

#ifdef OWN_START
/* The linker's error where a program is not started as ../start/crt1-command.c says. */
extern const char libvkernel_wants_option_B;
__attribute__((used)) static const char *const started = &libvkernel_wants_option_B;
#endif

/* A signal that is caught: deliver.s calls it. */
void vk_handle(int signal)
{
	int error = errno;
	void (*handler)(int) = handlers[signal].handler;
	if (handlers[signal].flags & SA_RESETHAND) handlers[signal].handler = SIG_DFL;
	if (handlers[signal].flags & SA_SIGINFO) {
		siginfo_t info = { .si_signo = signal };
		((void (*)(int, siginfo_t *, void *))handler)(signal, &info, 0);
	} else if (handler != SIG_DFL && handler != SIG_IGN) handler(signal);
	errno = error;
}

int sigaction(int signal, const struct sigaction *wanted, struct sigaction *before)
{
	if (signal < 1 || signal >= SIGNALS) return done(EINVAL);
	struct vk_sigaction new, old;
	if (wanted) {
		void (*handler)(int) = wanted->sa_handler;
		int flags = wanted->sa_flags;
		new.kind = handler == SIG_DFL ? VK_DEFAULT : handler == SIG_IGN ? VK_IGNORE : VK_CATCH;
		new.flags = (flags & SA_RESTART ? VK_RESTART : 0) | (flags & SA_NODEFER ? VK_NODEFER : 0)
			| (flags & SA_RESETHAND ? VK_RESET : 0);
		new.mask = wanted->sa_mask;
	}
	if (before) {
		if (done(vk_sigaction(signal, 0, &old))) return -1;
		*before = (struct sigaction){ .sa_handler = SIG_DFL, .sa_mask = old.mask };
		if (old.kind == VK_IGNORE) before->sa_handler = SIG_IGN;
		if (old.kind == VK_CATCH) {
			before->sa_handler = handlers[signal].handler;
			before->sa_flags = handlers[signal].flags;
		}
	}
	if (!wanted) return 0;
	/* The handler is there before the first signal can come. */
	__typeof__(handlers[0]) was = handlers[signal];
	handlers[signal].handler = wanted->sa_handler;
	handlers[signal].flags = wanted->sa_flags;
	if (!done(vk_sigaction(signal, &new, 0))) return 0;
	handlers[signal] = was;
	return -1;
}

void (*signal(int number, void (*handler)(int)))(int)
{
	struct sigaction wanted = { .sa_handler = handler, .sa_flags = SA_RESTART }, before;
	return sigaction(number, &wanted, &before) ? SIG_ERR : before.sa_handler;
}

/* wasi-libc has it in one object with signal. */
void (*bsd_signal(int number, void (*handler)(int)))(int) { return signal(number, handler); }

int raise(int number)
{
	int own, error = vk_getpid(&own);
	return done(error ? error : vk_kill(own, number));
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before)
{
	return done(vk_sigprocmask(set ? how : 3, set ? *set : 0, before));
}

int sigpending(sigset_t *set) { return done(vk_sigpending(set)); }
int sigsuspend(const sigset_t *mask) { return done(vk_sigsuspend(*mask)); }

int pause(void)
{
	sigset_t mask;
	return sigprocmask(SIG_BLOCK, 0, &mask) ? -1 : sigsuspend(&mask);
}

int sigemptyset(sigset_t *set) { return *set = 0, 0; }
int sigfillset(sigset_t *set) { return *set = -1, 0; }

static int bit(int number, sigset_t *one)
{
	if (number < 1 || number >= SIGNALS) return done(EINVAL);
	*one = 1ull << (number - 1);
	return 0;
}

int sigaddset(sigset_t *set, int number)
{
	sigset_t one;
	return bit(number, &one) ? -1 : (*set |= one, 0);
}

int sigdelset(sigset_t *set, int number)
{
	sigset_t one;
	return bit(number, &one) ? -1 : (*set &= ~one, 0);
}

int sigismember(const sigset_t *set, int number)
{
	sigset_t one;
	return bit(number, &one) ? -1 : (*set & one) != 0;
}

static uint64_t micros(struct timeval t) { return t.tv_sec * 1000000ull + t.tv_usec; }
static struct timeval timeval(uint64_t micros) { return (struct timeval){ micros / 1000000, micros % 1000000 }; }

int setitimer(int which, const struct itimerval *new, struct itimerval *old)
{
	uint64_t before[2];
	if (which != ITIMER_REAL) return done(EINVAL);
	if (done(vk_setitimer(micros(new->it_value), micros(new->it_interval), before))) return -1;
	if (old) *old = (struct itimerval){ timeval(before[1]), timeval(before[0]) };
	return 0;
}

unsigned alarm(unsigned seconds)
{
	uint64_t before[2];
	if (done(vk_setitimer(seconds * 1000000ull, 0, before))) return 0;
	return (before[0] + 999999) / 1000000;
}
