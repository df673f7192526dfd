// beanstalkd: `put`, `reserve`, `delete`. It has no results: a worker tells of an end with a job on another tube.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

static void expect(Link *link, const char *word) {
  char line[256];
  link_line(link, line, sizeof line);
  if (strncmp(line, word, strlen(word)) != 0) {
    fprintf(stderr, "beanstalkd: %s\n", line);
    fail(word);
  }
}

static void say(Link *link, const char *text) { link_send(link, text, strlen(text)); }

// The submitter hears of ends only.
static void prepare(Link *link) {
  say(link, "watch ends\r\nignore default\r\n");
  expect(link, "WATCHING");
  expect(link, "WATCHING");
}

// What a worker puts is an end.
static void attend(Link *link) {
  say(link, "use ends\r\n");
  expect(link, "USING");
}

static void submit(Link *link, long count) {
  char *text = malloc((size_t)count * (BODY + 64));
  int length = 0;
  if (!text) fail("memory");
  for (long index = 0; index < count; index++) length += sprintf(text + length, "put 0 0 60 %d\r\n%s\r\n", BODY, job_body);
  link_send(link, text, (size_t)length);
  for (long index = 0; index < count; index++) expect(link, "INSERTED");
  free(text);
}

static int reserved(Link *link, Identity id) {
  char line[256];
  size_t length;
  link_line(link, line, sizeof line);
  if (sscanf(line, "RESERVED %31s %zu", id, &length) != 2) return 0;
  link_skip(link, length + 2);
  return 1;
}

static int take(Link *link, Identity *ids, int most) {
  char *text = malloc((size_t)most * 32);
  int length = 0, count = 0;
  if (!text) fail("memory");
  for (int index = 0; index < most; index++) length += sprintf(text + length, "reserve-with-timeout %d\r\n", index ? 0 : 1);
  link_send(link, text, (size_t)length);
  for (int index = 0; index < most; index++) count += reserved(link, ids[count]);
  free(text);
  return count;
}

static void finish(Link *link, Identity *ids, int count, int tell) {
  char *text = malloc((size_t)count * 64 + 64);
  int length = 0;
  if (!text) fail("memory");
  for (int index = 0; index < count; index++) length += sprintf(text + length, "delete %s\r\n", ids[index]);
  if (tell) length += sprintf(text + length, "put 0 0 60 2\r\nok\r\n");
  link_send(link, text, (size_t)length);
  for (int index = 0; index < count; index++) expect(link, "DELETED");
  if (tell) expect(link, "INSERTED");
  free(text);
}

static void hear(Link *link) {
  Identity id;
  char text[64];
  say(link, "reserve-with-timeout 10\r\n");
  if (!reserved(link, id)) fail("no end came");
  snprintf(text, sizeof text, "delete %s\r\n", id);
  say(link, text);
  expect(link, "DELETED");
}

const Broker beanstalk_broker = {prepare, attend, submit, take, finish, hear};
