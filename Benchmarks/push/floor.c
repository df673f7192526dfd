// The floor under every broadcaster: one thread, epoll, a frame that is built once for each burst, and one send(2) for
// each connection and burst. It knows only the sample nonce of RFC 6455, and reads nothing that its readers say.
//
//   floor PORT MODE RATE BURST SIZE START_AT      MODE: idle, rate or max; prints "listening"
#define _GNU_SOURCE  // accept4, memmem
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536, LARGEST_BURST = 1 << 20 };

static const char answer[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static char burst[LARGEST_BURST + 64], scratch[65536];
static size_t burst_length, sent[MOST];
static uint8_t is_open[MOST];
static int sockets[MOST], open_count, behind, epoll_;

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static void watch(int operation, int socket, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = socket};
  epoll_ctl(epoll_, operation, socket, &event);
}

static void build(int messages, int size) {
  static unsigned long long sequence;
  burst_length = 0;
  for (int index = 0; index < messages; index++) {
    char *at = burst + burst_length;
    int head = size < 126 ? 2 : 4;
    at[0] = (char)0x81;
    at[1] = (char)(size < 126 ? size : 126);
    if (head == 4) at[2] = (char)(size >> 8), at[3] = (char)size;
    int used = sprintf(at + head, "{\"t\":%llu,\"seq\":%llu,\"type\":\"job.update\",\"pad\":\"", (unsigned long long)now_ns(), ++sequence);
    memset(at + head + used, 'x', (size_t)(size - used - 2));
    memcpy(at + head + size - 2, "\"}", 2);
    burst_length += (size_t)(head + size);
  }
}

static void publish(void) {
  for (int index = 0; index < open_count; index++) {
    int socket = sockets[index];
    ssize_t wrote = send(socket, burst, burst_length, MSG_NOSIGNAL);
    sent[socket] = wrote >= 0 ? (size_t)wrote : errno == EAGAIN ? 0 : burst_length;
    if (sent[socket] == burst_length) continue;
    behind++;
    watch(EPOLL_CTL_MOD, socket, EPOLLIN | EPOLLOUT);
  }
}

static void go_on(int socket) {
  if (!is_open[socket] || sent[socket] >= burst_length) return;
  ssize_t wrote = send(socket, burst + sent[socket], burst_length - sent[socket], MSG_NOSIGNAL);
  if (wrote >= 0) sent[socket] += (size_t)wrote;
  else if (errno != EAGAIN) sent[socket] = burst_length;
  if (sent[socket] < burst_length) return;
  behind--;
  watch(EPOLL_CTL_MOD, socket, EPOLLIN);
}

static void greet(int listener) {
  int one = 1, socket;
  while ((socket = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(EPOLL_CTL_ADD, socket, EPOLLIN);
  }
}

static void hear(int socket) {
  ssize_t got = recv(socket, scratch, sizeof scratch, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0) {
    if (is_open[socket] || !memmem(scratch, (size_t)got, "\r\n\r\n", 4)) return;
    if (send(socket, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) return;
    is_open[socket] = 1;
    sent[socket] = SIZE_MAX;
    sockets[open_count++] = socket;
    return;
  }
  if (is_open[socket]) {
    is_open[socket] = 0;
    for (int index = 0; index < open_count; index++)
      if (sockets[index] == socket) {
        sockets[index] = sockets[--open_count];
        break;
      }
    if (sent[socket] < burst_length) behind--;
  }
  close(socket);
}

int main(int count, char **words) {
  if (count != 7) return 2;
  int port = atoi(words[1]), messages = atoi(words[4]), size = atoi(words[5]), start_at = atoi(words[6]), one = 1;
  int mode = words[2][0] == 'i' ? 0 : words[2][0] == 'r' ? 1 : 2;
  double rate = atof(words[3]);
  if (messages * (size + 4) > LARGEST_BURST || size < 100) return 2;
  signal(SIGPIPE, SIG_IGN);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  epoll_ = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return perror("floor"), 1;
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  puts("listening");
  fflush(stdout);
  struct epoll_event events[512];
  for (uint64_t next = 0;;) {
    int goes = mode && open_count >= start_at;
    uint64_t now = now_ns();
    if (goes && !next) next = now;
    if (goes && !behind && (mode == 2 || now >= next)) {
      if (mode == 1) next += (uint64_t)(1e9 / rate);
      build(messages, size);
      publish();
    }
    int64_t left = (int64_t)(next - now_ns());
    int wait = !goes ? 100 : mode == 2 ? (behind ? 100 : 0) : left > 0 ? (int)(left / 1000000) : 0;
    int ready = epoll_wait(epoll_, events, 512, wait);
    for (int index = 0; index < ready; index++) {
      int socket = events[index].data.fd;
      if (socket == listener) {
        greet(listener);
        continue;
      }
      if (events[index].events & EPOLLOUT) go_on(socket);
      if (events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) hear(socket);
    }
  }
}
