#pragma once
#include <sys/statvfs.h>
