// Opening, reading, losing and reopening connections.
#define _GNU_SOURCE  // memmem, strcasestr
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "readers.h"

// The sample nonce of RFC 6455 section 1.3: its answer is known, so no SHA-1 is needed.
#define NONCE "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static Reader *readers;
static uint8_t *buffer;
static int epoll_, next_reader;

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

Reader *reader_at(int index) { return &readers[index]; }

void prepare(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if ((rlim_t)options.readers + 16 > limit.rlim_max) {
    fprintf(stderr, "push_readers: %d connections need more open files than %lu\n", options.readers, (unsigned long)limit.rlim_max);
    exit(2);
  }
  readers = calloc((size_t)options.readers, sizeof *readers);
  buffer = malloc(READ_SIZE + 1);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (!readers || !buffer || epoll_ < 0) exit(3);
  for (int index = 0; index < options.readers; index++) {
    readers[index].socket = -1;
    readers[index].paused = index < options.paused;
  }
}

void watch(Reader *reader, int reads) {
  struct epoll_event event = {.events = reads ? EPOLLIN : 0, .data.u32 = (uint32_t)(reader - readers)};
  // One that ended while it was paused is not watched any more.
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, reader->socket, &event)) epoll_ctl(epoll_, EPOLL_CTL_ADD, reader->socket, &event);
}

// A random time between 0 and min(30 s, 0.5 s x 2^failures), as the protocol asks for.
static uint64_t pause_after(const Reader *reader) {
  double most = 0.5 * (double)(1 << (reader->failures > 6 ? 6 : reader->failures));
  return (uint64_t)((most > 30 ? 30 : most) * 1e9 * ((double)rand() / RAND_MAX));
}

void lose(Reader *reader, const char *why, int error) {
  if (reader->stage == LOST) return;
  if (!totals.first_fault[0]) snprintf(totals.first_fault, sizeof totals.first_fault, "%s: %s", why, error ? strerror(error) : "-");
  if (reader->stage == OPEN) {
    totals.open--;
    totals.lost++;
    totals.slow += reader->close_code == 4008;
    totals.dropped += reader->close_code == 1006;
    reader->failures = 0;
  } else {
    totals.connecting--;
    reader->failures++;
    if (!reader->was_open) totals.refused++;
  }
  if (reader->socket >= 0) close(reader->socket);
  reader->socket = -1;
  reader->stage = LOST;
  reader->kept = 0;
  reader->retry_at = now_ns() + pause_after(reader);
}

static void connect_reader(Reader *reader) {
  int index = (int)(reader - readers), one = 1;
  reader->stage = CONNECTING;
  reader->began = now_ns();
  totals.connecting++;
  reader->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (reader->socket < 0) return lose(reader, "socket", errno);
  setsockopt(reader->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (options.receive_buffer && reader->paused)
    setsockopt(reader->socket, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof options.receive_buffer);
  if (options.sources > 0) {  // 127.0.0.2, .3, ... so that ports do not run out
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + (unsigned)(index % options.sources))};
    setsockopt(reader->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(reader->socket, (struct sockaddr *)&own, sizeof own)) return lose(reader, "bind", errno);
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(reader->socket, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) return lose(reader, "connect", errno);
  struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)index};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, reader->socket, &event);
}

static void greet(Reader *reader) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(reader->socket, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) return lose(reader, "connect", error);
  char text[2048], place[160] = "";
  if (reader->was_open && reader->last) snprintf(place, sizeof place, "?after=%llu&epoch=%s", (unsigned long long)reader->last, totals.epoch);
  int length = snprintf(text, sizeof text,
                        "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: " NONCE "\r\nSec-WebSocket-Version: 13\r\n%s",
                        options.path, place, options.port,
                        options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
  for (int index = 0; index < options.header_count; index++)
    length += snprintf(text + length, sizeof text - (size_t)length, "%s\r\n", options.headers[index]);
  length += snprintf(text + length, sizeof text - (size_t)length, "\r\n");
  if (send(reader->socket, text, (size_t)length, MSG_NOSIGNAL) != length) return lose(reader, "handshake", errno);
  reader->stage = GREETING;
  watch(reader, 1);
}

// Bytes of the answer's head, 0 when it is not whole, -1 when the reader was lost.
static ssize_t greeted(Reader *reader, size_t count) {
  buffer[count] = 0;
  uint8_t *end = memmem(buffer, count, "\r\n\r\n", 4);
  if (!end) return 0;
  *end = 0;
  if (strncmp((char *)buffer, "HTTP/1.1 101", 12)) {
    char why[100];
    snprintf(why, sizeof why, "answered %.60s", (char *)buffer);
    return lose(reader, why, 0), -1;
  }
  if (!strstr((char *)buffer, ACCEPT)) return lose(reader, "wrong Sec-WebSocket-Accept", 0), -1;
  reader->deflates = strcasestr((char *)buffer, "permessage-deflate") != NULL;
  if (reader->inflater) inflateReset(reader->inflater);
  totals.connecting--;
  totals.open++;
  if (reader->was_open) totals.reopened++;
  reader->stage = OPEN;
  reader->was_open = 1;
  reader->failures = 0;
  reader->close_code = 1006;
  note(&totals.connects, now_ns() - reader->began);
  if (reader->paused) watch(reader, 0);
  return end - buffer + 4;
}

static void read_reader(Reader *reader) {
  if (reader->kept) memcpy(buffer, reader->keep, reader->kept);
  ssize_t got = recv(reader->socket, buffer + reader->kept, READ_SIZE - reader->kept, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return lose(reader, got ? "read" : "closed by the server", got ? errno : 0);
  size_t count = reader->kept + (size_t)got, at = 0;
  if (reader->stage == GREETING) {
    ssize_t head = greeted(reader, count);
    if (head < 0) return;
    at = (size_t)head;
  }
  if (reader->stage == OPEN) {
    ssize_t used = take_frames(reader, buffer + at, count - at, now_ns());
    if (used < 0) return lose(reader, "closed by a frame", 0);
    at += (size_t)used;
  }
  reader->kept = (uint32_t)(count - at);
  if (!reader->kept) return;
  if (reader->room < reader->kept) {
    reader->room = reader->kept + 256;
    reader->keep = realloc(reader->keep, reader->room);
    if (!reader->keep) exit(3);
  }
  memcpy(reader->keep, buffer + at, reader->kept);
}

static void reopen(void) {
  static uint64_t looked;
  uint64_t now = now_ns();
  if (!options.resume || totals.open == (uint64_t)options.readers || now < looked + 5000000) return;
  looked = now;
  for (int index = 0; index < next_reader && index < options.resume && totals.connecting < options.inflight; index++)
    if (readers[index].stage == LOST && readers[index].retry_at <= now) connect_reader(&readers[index]);
}

void step(int milliseconds) {
  struct epoll_event events[512];
  while (next_reader < options.readers && totals.connecting < options.inflight) connect_reader(&readers[next_reader++]);
  reopen();
  int count = epoll_wait(epoll_, events, 512, milliseconds);
  for (int index = 0; index < count; index++) {
    Reader *reader = &readers[events[index].data.u32];
    if (reader->stage == CONNECTING) greet(reader);
    // A paused reader does not look even at the end of its connection.
    else if (reader->stage == GREETING || (reader->stage == OPEN && events[index].events & EPOLLIN)) read_reader(reader);
    else if (reader->stage == OPEN && !reader->paused) read_reader(reader);
    else if (reader->stage == OPEN) epoll_ctl(epoll_, EPOLL_CTL_DEL, reader->socket, NULL);
  }
}
