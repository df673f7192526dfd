// A blocking connection with a buffer for what came.
#define _GNU_SOURCE  // memmem
#include "broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

char job_body[BODY + 1];

void fail(const char *what) {
  fprintf(stderr, "peer_queues: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
  exit(1);
}

Link *link_open(int port) {
  Link *link = calloc(1, sizeof *link);
  int one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!link) fail("memory");
  link->capacity = 1 << 16;
  link->buffer = malloc(link->capacity);
  link->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (!link->buffer || link->socket < 0 || connect(link->socket, (struct sockaddr *)&address, sizeof address) < 0)
    fail("connect");
  setsockopt(link->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return link;
}

void link_send(Link *link, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(link->socket, bytes, count, MSG_NOSIGNAL);
    if (sent <= 0) fail("send");
    bytes += sent;
    count -= (size_t)sent;
  }
}

static void receive(Link *link) {
  if (link->start > 0) {
    memmove(link->buffer, link->buffer + link->start, link->end - link->start);
    link->end -= link->start;
    link->start = 0;
  }
  if (link->end == link->capacity) {
    link->capacity *= 2;
    link->buffer = realloc(link->buffer, link->capacity);
    if (!link->buffer) fail("memory");
  }
  errno = 0;
  ssize_t got = recv(link->socket, link->buffer + link->end, link->capacity - link->end, 0);
  if (got <= 0) fail("the broker closed a connection");
  link->end += (size_t)got;
}

void link_line(Link *link, char *line, size_t room) {
  char *end;
  while (!(end = memmem(link->buffer + link->start, link->end - link->start, "\r\n", 2))) receive(link);
  size_t length = (size_t)(end - (link->buffer + link->start));
  if (length >= room) fail("a line that is too long");
  memcpy(line, link->buffer + link->start, length);
  line[length] = 0;
  link->start += length + 2;
}

void link_skip(Link *link, size_t count) {
  while (link->end - link->start < count) receive(link);
  link->start += count;
}
