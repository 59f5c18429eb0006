/* Terminal modes, laid out and numbered as Linux's kernel has them. */
#pragma once
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned tcflag_t, speed_t;
typedef unsigned char cc_t;
#define NCCS 19
struct termios {
	tcflag_t c_iflag, c_oflag, c_cflag, c_lflag;
	cc_t c_line, c_cc[NCCS];
};
struct winsize {
	unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel;
};

int tcgetattr(int, struct termios *), tcsetattr(int, int, const struct termios *);
void cfmakeraw(struct termios *);
speed_t cfgetispeed(const struct termios *), cfgetospeed(const struct termios *);
int cfsetispeed(struct termios *, speed_t), cfsetospeed(struct termios *, speed_t), cfsetspeed(struct termios *, speed_t);

enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL };
#define TCSANOW 0
#define TCSADRAIN 1
#define TCSAFLUSH 2
#define TIOCGWINSZ 0x5413
#define TIOCSWINSZ 0x5414
#define TIOCNOTTY 0x5422

#define IGNBRK 01
#define BRKINT 02
#define PARMRK 010
#define INPCK 020
#define ISTRIP 040
#define INLCR 0100
#define IGNCR 0200
#define ICRNL 0400
#define IXON 02000
#define IXANY 04000
#define IXOFF 010000
#define IUTF8 040000
#define OPOST 01
#define ONLCR 04
#define CSIZE 060
#define CS8 060
#define PARENB 0400
#define ISIG 01
#define ICANON 02
#define ECHO 010
#define ECHOE 020
#define ECHOK 040
#define ECHONL 0100
#define ECHOCTL 01000
#define ECHOKE 04000
#define IEXTEN 0100000
#define CBAUD 010017
#define B9600 015
#define B38400 017
#define B115200 010002

#ifdef __cplusplus
}
#endif
