#ifndef AITBC_CEPOLL_SHIM_H
#define AITBC_CEPOLL_SHIM_H

/* Swift's own module of the C library leaves the first two out. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* How many processors this process may run on; declared here because glibc hides it from plain C. Sets of up to 1,024
   processors are looked at; 0 when there are more. */
extern int sched_getaffinity(int process, unsigned long size, void *set);

static inline int aitbc_usable_cores(void) {
  unsigned long set[1024 / 8 / sizeof(unsigned long)] = {0};
  int count = 0;
  if (sched_getaffinity(0, sizeof set, set) < 0) return 0;
  for (unsigned long index = 0; index < sizeof set / sizeof *set; index++) count += __builtin_popcountl(set[index]);
  return count;
}

/* The kernel takes no more from us while so many bytes wait to be sent. */
static inline int aitbc_limit_unsent(int socket, int bytes) {
  return setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

/* Bytes that the peer's kernel has taken so far (tcpi_bytes_acked, which the C library's header does not know; the
   kernel's own can't stand beside it). -1 where the socket is not TCP. */
static inline long long aitbc_bytes_acknowledged(int socket) {
  unsigned long long info[32] = {0};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, info, &size) < 0 || size < 128) return -1;
  return (long long)info[15];
}

/* Bytes that wait in the kernel to be sent, or to be acknowledged (SIOCOUTQ); -1 where the socket is not TCP. */
static inline int aitbc_bytes_outstanding(int socket) {
  int bytes = 0;
  return ioctl(socket, TIOCOUTQ, &bytes) < 0 ? -1 : bytes;
}

#endif
