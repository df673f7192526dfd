// Load for the submit benchmark: one POST per job over CONNECTIONS keep-alive connections to 127.0.0.1, each with one
// request under way, until JOBS requests are answered. One thread, epoll.
//
//   submit_load PORT KEY CONNECTIONS JOBS     prints "SECONDS CREATED OTHER": only answers 201 are created.
#define _GNU_SOURCE  // strcasestr
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_ANSWER = 64 * 1024, MOST_CONNECTIONS = 1024, SILENCE_MS = 30000 };

typedef struct {
  int socket;
  size_t length;
  char buffer[LARGEST_ANSWER + 1];
} Connection;

static char request[1024];
static size_t request_length;

static void fail(const char *what) {
  fprintf(stderr, "submit_load: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_connection(int port) {
  int one = 1, socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket_ < 0 || connect(socket_, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return socket_;
}

// A request is far smaller than the socket's buffer, so a short write is a fault.
static void send_request(Connection *connection) {
  ssize_t sent = send(connection->socket, request, request_length, MSG_NOSIGNAL);
  if (sent != (ssize_t)request_length) fail("send");
}

// The status once the whole answer is here, else 0. Answers without Content-Length are not understood.
static int take_answer(Connection *connection) {
  ssize_t got = recv(connection->socket, connection->buffer + connection->length,
                     LARGEST_ANSWER - connection->length, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got <= 0) fail("the server closed a connection");
  connection->length += (size_t)got;
  connection->buffer[connection->length] = 0;
  char *end = strstr(connection->buffer, "\r\n\r\n");
  if (!end) return 0;
  char *field = strcasestr(connection->buffer, "\r\ncontent-length:");
  errno = 0;
  if (!field || field > end) fail("an answer without Content-Length");
  size_t whole = (size_t)(end + 4 - connection->buffer) + strtoul(field + 17, NULL, 10);
  if (whole > LARGEST_ANSWER) fail("an answer that is too long");
  if (connection->length < whole) return 0;
  connection->length = 0;
  return atoi(connection->buffer + strlen("HTTP/1.1 "));
}

int main(int count, char **words) {
  int connections = count == 5 ? atoi(words[3]) : 0;
  long jobs = count == 5 ? atol(words[4]) : 0, sent = 0, created = 0, other = 0;
  if (connections < 1 || connections > MOST_CONNECTIONS || jobs < connections) {
    fprintf(stderr, "usage: submit_load PORT KEY CONNECTIONS JOBS (JOBS >= CONNECTIONS, at most %d connections)\n",
            MOST_CONNECTIONS);
    return 2;
  }
  static const char body[] = "{\"payload\":{\"type\":\"noop\"}}";
  request_length = (size_t)snprintf(
      request, sizeof request,
      "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nX-Api-Key: %s\r\nContent-Type: application/json\r\n"
      "Content-Length: %zu\r\n\r\n%s",
      words[1], words[2], sizeof body - 1, body);
  if (request_length >= sizeof request) fail("a key that is too long");

  int poll = epoll_create1(EPOLL_CLOEXEC);
  Connection *all = calloc((size_t)connections, sizeof *all);
  if (poll < 0 || !all) fail("set-up");
  for (int index = 0; index < connections; index++) {
    all[index].socket = open_connection(atoi(words[1]));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[index]};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, all[index].socket, &event) < 0) fail("epoll_ctl");
  }
  double start = now();
  for (; sent < connections; sent++) send_request(&all[sent]);
  while (created + other < jobs) {
    struct epoll_event events[MOST_CONNECTIONS];
    int ready = epoll_wait(poll, events, MOST_CONNECTIONS, SILENCE_MS);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) fail("no answer for 30 s");
    for (int index = 0; index < ready; index++) {
      int status = take_answer(events[index].data.ptr);
      if (status == 0) continue;
      if (status == 201) created++; else other++;
      if (sent < jobs) send_request(events[index].data.ptr), sent++;
    }
  }
  printf("%.6f %ld %ld\n", now() - start, created, other);
  return 0;
}
