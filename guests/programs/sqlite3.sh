# SQLite's command line, from the sources its build joins into one file (with tclsh).
unpack sqlite3
cd src
./configure
make sqlite3.c shell.c
cc -c "$GUESTS/programs/sqlite3_port.c" -o port.o
# wasi-libc has no file locks: their names and numbers are Linux's, the port's own fcntl answers them.
options=(-O1 -Dfcntl=port_fcntl -DF_GETLK=5 -DF_SETLK=6 -DF_RDLCK=0 -DF_WRLCK=1 -DF_UNLCK=2 -I.
  -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL)
cc -c "${options[@]}" sqlite3.c -o sqlite3.o
program sqlite3 "${options[@]}" -DSQLITE_NOHAVE_SYSTEM -DSQLITE_OMIT_POPEN shell.c sqlite3.o port.o

# The same library under a command line that can run programs: .shell, .system and pipes, by libvkernel.
. "$GUESTS/vkernel.sh"
program runsqlite3 "${options[@]}" shell.c sqlite3.o port.o
