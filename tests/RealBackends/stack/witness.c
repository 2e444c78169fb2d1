/*
 * Writes rising numbers to several disks, so that a copy of all of them tells whether it stands for one instant.
 *
 *   witness DIRECTORY…        one directory on each disk
 *
 * Number n goes to the first disk, and is on it for good before n goes to the second, and so on; n + 1 begins only when n is on the last. So at any instant the
 * numbers never rise from disk to disk, and the first is ahead of the last by one at most. DIRECTORY/durable holds the number in one block, written past the
 * page cache and synced; DIRECTORY/cached holds it as an ordinary write leaves it, in memory until somebody flushes.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, MOST = 32 };

static int open_in(const char *directory, const char *name, int flags)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, O_RDWR | O_CREAT | flags, 0644);
    if (file < 0)
        err(1, "%s", path);
    return file;
}

static void store(int file, const char *block)
{
    if (pwrite(file, block, BLOCK, 0) != BLOCK)
        err(1, "write");
}

int main(int count, char **arguments)
{
    int disks = count - 1, durable[MOST], cached[MOST];
    char *block;
    if (disks < 1 || disks > MOST || posix_memalign((void **)&block, BLOCK, BLOCK))
        errx(2, "usage: witness DIRECTORY...");
    for (int i = 0; i < disks; i++) {
        durable[i] = open_in(arguments[i + 1], "durable", O_DIRECT);
        cached[i] = open_in(arguments[i + 1], "cached", 0);
    }
    for (long number = 1;; number++) {
        memset(block, 0, BLOCK);
        snprintf(block, BLOCK, "%ld\n", number);
        for (int i = 0; i < disks; i++) {
            store(cached[i], block);
            store(durable[i], block);
            if (fdatasync(durable[i]) || (number == 1 && fsync(cached[i])))
                err(1, "sync");
        }
        if (number == 1)
            sync();
    }
}
