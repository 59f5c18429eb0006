# SQLite's command line, from the sources its build joins into one file (with tclsh).
unpack sqlite3
cd src
./configure
make sqlite3.c shell.c
cc -c "$GUESTS/programs/sqlite3_port.c" -o port.o
# wasi-libc has no file locks: their names and numbers are Linux's, the port's own fcntl answers them.
program sqlite3 -Dfcntl=port_fcntl -DF_GETLK=5 -DF_SETLK=6 -DF_RDLCK=0 -DF_WRLCK=1 -DF_UNLCK=2 -I. \
  -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL -DSQLITE_NOHAVE_SYSTEM -DSQLITE_OMIT_POPEN \
  sqlite3.c shell.c port.o
