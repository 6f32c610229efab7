/* A disk that drops unsynced writes: loaded before the C library into a program under test.
 *
 * Writes to the files below UNSYNCED_UNDER are kept in memory, by file, and passed on only when the
 * file is synced. kill -9 then loses what was not synced, as a power cut would. Reads see what was
 * written. Truncation counts as synced: it is passed on at once, after what waits before it.
 * Folders, renames and removals pass through. Memory maps pass through as well: SQLite maps only
 * its shared-memory index (-shm), which it rebuilds after a crash and never trusts, so -shm is left
 * alone altogether. */
#define _POSIX_C_SOURCE 200809L /* and no more: its own names for 64 bits are ours to define */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>



enum { FILES = 64, NAME = 512 };

/* One write that waits. */
struct wait { off_t at; size_t length; struct wait *next; char bytes[]; };
/* One file with writes that wait, oldest first; known by device and inode, as descriptors come and go. */
struct file { dev_t device; ino_t inode; struct wait *first, *last; off_t size; int used; };

static struct file files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_read)(int, void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fstat)(int, struct stat *);
static int (*real_stat)(const char *, struct stat *);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void find(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_pread = dlsym(RTLD_NEXT, "pread64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_read = dlsym(RTLD_NEXT, "read");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_fstat = dlsym(RTLD_NEXT, "fstat64");
  real_stat = dlsym(RTLD_NEXT, "stat64");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
}

/* Whether the descriptor is a file of the disk that drops writes. */
static int ours(int fd) {
  static char under[NAME];
  static size_t length;
  char link[64], name[NAME];
  if (!length) {
    const char *given = getenv("UNSYNCED_UNDER");
    snprintf(under, sizeof under, "%s", given ? given : "/nowhere");
    length = strlen(under);
  }
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t got = readlink(link, name, sizeof name - 1);
  if (got <= 0) return 0;
  name[got] = 0;
  if (strncmp(name, under, length)) return 0;
  return got < 4 || strcmp(name + got - 4, "-shm");
}

/* The file behind a descriptor; made if asked for. The lock is held. */
static struct file *find_file(int fd, int make) {
  struct stat is;
  if (real_fstat(fd, &is) || !S_ISREG(is.st_mode)) return NULL;
  struct file *unused = NULL;
  for (int n = 0; n < FILES; n++) {
    if (files[n].used && files[n].device == is.st_dev && files[n].inode == is.st_ino) {
      return &files[n];
    }
    if (!files[n].used) unused = &files[n];
  }
  if (!make) return NULL;
  if (!unused) abort();
  *unused = (struct file){ .device = is.st_dev, .inode = is.st_ino, .size = is.st_size, .used = 1 };
  return unused;
}

/* Passes on what waits. The lock is held. */
static int pass_on(int fd, struct file *file) {
  while (file->first) {
    struct wait *wait = file->first;
    size_t done = 0;
    while (done < wait->length) {
      ssize_t put = real_pwrite(fd, wait->bytes + done, wait->length - done, wait->at + done);
      if (put < 0) return -1;
      done += put;
    }
    file->first = wait->next;
    free(wait);
  }
  file->last = NULL;
  file->used = 0;
  return 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
  if (!ours(fd)) return real_pwrite(fd, bytes, length, at);
  pthread_mutex_lock(&lock);
  struct file *file = find_file(fd, 1);
  ssize_t done = length;
  if (!file) {
    done = real_pwrite(fd, bytes, length, at);
  } else {
    struct wait *wait = malloc(sizeof *wait + length);
    if (!wait) abort();
    *wait = (struct wait){ .at = at, .length = length };
    memcpy(wait->bytes, bytes, length);
    if (file->last) file->last->next = wait; else file->first = wait;
    file->last = wait;
    if (at + (off_t)length > file->size) file->size = at + length;
  }
  pthread_mutex_unlock(&lock);
  return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  return pwrite64(fd, bytes, length, at);
}

ssize_t pread64(int fd, void *bytes, size_t length, off_t at) {
  if (!ours(fd)) return real_pread(fd, bytes, length, at);
  pthread_mutex_lock(&lock);
  ssize_t got = real_pread(fd, bytes, length, at);
  struct file *file = got < 0 ? NULL : find_file(fd, 0);
  if (file) {
    off_t end = file->size - at;
    ssize_t whole = end < 0 ? 0 : end < (off_t)length ? end : (off_t)length;
    if (whole > got) {
      memset((char *)bytes + got, 0, whole - got);
      got = whole;
    }
    for (struct wait *wait = file->first; wait; wait = wait->next) {
      off_t from = wait->at > at ? wait->at : at;
      off_t to = wait->at + (off_t)wait->length;
      if (to > at + got) to = at + got;
      if (from < to) memcpy((char *)bytes + (from - at), wait->bytes + (from - wait->at), to - from);
    }
  }
  pthread_mutex_unlock(&lock);
  return got;
}
ssize_t pread(int fd, void *bytes, size_t length, off_t at) { return pread64(fd, bytes, length, at); }

ssize_t write(int fd, const void *bytes, size_t length) {
  if (fd < 3 || !real_fstat || !ours(fd)) return real_write(fd, bytes, length);
  off_t at = lseek(fd, 0, SEEK_CUR);
  if (at < 0) return real_write(fd, bytes, length);
  int flags = fcntl(fd, F_GETFL);
  if (flags & O_APPEND) return real_write(fd, bytes, length);
  ssize_t done = pwrite64(fd, bytes, length, at);
  if (done > 0) lseek(fd, at + done, SEEK_SET);
  return done;
}

ssize_t read(int fd, void *bytes, size_t length) {
  if (fd < 3 || !real_fstat || !ours(fd)) return real_read(fd, bytes, length);
  off_t at = lseek(fd, 0, SEEK_CUR);
  if (at < 0) return real_read(fd, bytes, length);
  ssize_t done = pread64(fd, bytes, length, at);
  if (done > 0) lseek(fd, at + done, SEEK_SET);
  return done;
}

static int sync_with(int fd, int (*real)(int)) {
  if (ours(fd)) {
    pthread_mutex_lock(&lock);
    struct file *file = find_file(fd, 0);
    int failed = file && pass_on(fd, file);
    pthread_mutex_unlock(&lock);
    if (failed) return -1;
  }
  return real(fd);
}
int fsync(int fd) { return sync_with(fd, real_fsync); }
int fdatasync(int fd) { return sync_with(fd, real_fdatasync); }

int ftruncate64(int fd, off_t size) {
  if (ours(fd)) {
    pthread_mutex_lock(&lock);
    struct file *file = find_file(fd, 0);
    int failed = file && pass_on(fd, file);
    pthread_mutex_unlock(&lock);
    if (failed) return -1;
  }
  return real_ftruncate(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fstat64(int fd, struct stat *is) {
  int failed = real_fstat(fd, is);
  if (failed || !S_ISREG(is->st_mode) || !ours(fd)) return failed;
  pthread_mutex_lock(&lock);
  struct file *file = find_file(fd, 0);
  if (file && file->size > is->st_size) is->st_size = file->size;
  pthread_mutex_unlock(&lock);
  return 0;
}
int fstat(int fd, struct stat *is) { return fstat64(fd, is); }

/* SQLite asks for the size of a log by name before it opens it. */
int stat64(const char *name, struct stat *is) {
  int failed = real_stat(name, is);
  if (failed || !S_ISREG(is->st_mode)) return failed;
  pthread_mutex_lock(&lock);
  for (int n = 0; n < FILES; n++)
    if (files[n].used && files[n].device == is->st_dev && files[n].inode == is->st_ino)
      if (files[n].size > is->st_size) is->st_size = files[n].size;
  pthread_mutex_unlock(&lock);
  return 0;
}
int stat(const char *name, struct stat *is) { return stat64(name, is); }

/* What waits for a removed file is gone with it: its number may be another file's next. */
int unlink(const char *name) {
  struct stat is;
  if (!real_stat(name, &is) && S_ISREG(is.st_mode) && is.st_nlink == 1) {
    pthread_mutex_lock(&lock);
    for (int n = 0; n < FILES; n++)
      if (files[n].used && files[n].device == is.st_dev && files[n].inode == is.st_ino) {
        for (struct wait *wait = files[n].first, *next; wait; wait = next) {
          next = wait->next;
          free(wait);
        }
        files[n] = (struct file){ .used = 0 };
      }
    pthread_mutex_unlock(&lock);
  }
  return real_unlink(name);
}
