/* A terminal can be asked for, never set. */
#pragma once
typedef unsigned tcflag_t, speed_t;
typedef unsigned char cc_t;
struct termios { tcflag_t c_iflag, c_oflag, c_cflag, c_lflag; cc_t c_line, c_cc[32]; speed_t c_ispeed, c_ospeed; };
struct winsize { unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel; };
int tcgetattr(int, struct termios *), tcsetattr(int, int, const struct termios *);
int cfsetspeed(struct termios *, speed_t), cfsetispeed(struct termios *, speed_t), cfsetospeed(struct termios *, speed_t);
speed_t cfgetospeed(const struct termios *);
enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN };
#define TIOCGWINSZ 0x5413
#define TCSANOW 0
#define TCSADRAIN 1
#define TCSAFLUSH 2
#define BRKINT 0x2
#define INPCK 0x10
#define ISTRIP 0x20
#define ICRNL 0x100
#define IXON 0x400
#define IXANY 0x800
#define IXOFF 0x1000
#define IUTF8 0x4000
#define OPOST 0x1
#define ONLCR 0x4
#define CS8 0x30
#define ISIG 0x1
#define ICANON 0x2
#define ECHO 0x8
#define ECHOE 0x10
#define ECHOK 0x20
#define ECHOCTL 0x200
#define ECHOKE 0x800
#define IEXTEN 0x8000
#define B9600 13
#define B38400 15
#define B115200 0x1002
#define INLCR 0x40
#define TIOCNOTTY 0x5422
void cfmakeraw(struct termios *);
