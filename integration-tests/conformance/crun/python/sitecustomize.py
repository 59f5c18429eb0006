"""A test that waits for a connection which nobody makes fails instead of waiting for ever."""

import socket

socket.setdefaulttimeout(5)
