#!/usr/bin/python3
"""Says how often each name stands in a file: the demo's script."""
import collections
import sys

path = sys.argv[1] if len(sys.argv) > 1 else "/data/visits.txt"
with open(path) as lines:
    counts = collections.Counter(line.split()[1] for line in lines if line.strip())
for name, count in sorted(counts.items()):
    print(f"{name}: {count}")
print("signed report")
