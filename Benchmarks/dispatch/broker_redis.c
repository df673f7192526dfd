// Redis: a stream with one group of consumers. A job is taken with XREADGROUP, and ended with XACK and XDEL.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"

static int append(char *text, int count, const char *const *words) {
  int length = sprintf(text, "*%d\r\n", count);
  for (int index = 0; index < count; index++)
    length += sprintf(text + length, "$%zu\r\n%s\r\n", strlen(words[index]), words[index]);
  return length;
}

#define COMMAND(text, ...)                                                         \
  append(text, (int)(sizeof(const char *const[]){__VA_ARGS__} / sizeof(char *)), \
         (const char *const[]){__VA_ARGS__})

// Reads one reply; those of its texts that look like the id of an entry are kept. Returns how many.
static int reply(Link *link, Identity *ids, int known) {
  char line[256];
  link_line(link, line, sizeof line);
  long count = atol(line + 1);
  if (line[0] == '-') {
    fprintf(stderr, "redis: %s\n", line);
    fail("a command");
  } else if (line[0] == '$' && count >= 0) {
    if (ids && count < (long)sizeof(Identity)) {
      char text[sizeof(Identity) + 2];
      link_line(link, text, sizeof text);
      if (text[0] >= '0' && text[0] <= '9' && strchr(text, '-')) strcpy(ids[known++], text);
    } else {
      link_skip(link, (size_t)count + 2);
    }
  } else if (line[0] == '*') {
    for (long index = 0; index < count; index++) known = reply(link, ids, known);
  }
  return known;
}

static void prepare(Link *link) {
  char text[512];
  int length = COMMAND(text, "DEL", "jobs", "ends");
  length += COMMAND(text + length, "XGROUP", "CREATE", "jobs", "miners", "$", "MKSTREAM");
  link_send(link, text, (size_t)length);
  for (int index = 0; index < 2; index++) reply(link, NULL, 0);
}

static void attend(Link *link) { (void)link; }

static void submit(Link *link, long count) {
  char *text = malloc((size_t)count * (BODY + 64));
  int length = 0;
  if (!text) fail("memory");
  for (long index = 0; index < count; index++) length += COMMAND(text + length, "XADD", "jobs", "*", "body", job_body);
  link_send(link, text, (size_t)length);
  for (long index = 0; index < count; index++) reply(link, NULL, 0);
  free(text);
}

static int take(Link *link, Identity *ids, int most) {
  char text[512], number[16], name[16];
  snprintf(number, sizeof number, "%d", most);
  snprintf(name, sizeof name, "c%d", link->socket);
  int length = COMMAND(text, "XREADGROUP", "GROUP", "miners", name, "COUNT", number, "BLOCK", "200", "STREAMS", "jobs", ">");
  link_send(link, text, (size_t)length);
  return reply(link, ids, 0);
}

static int on_all(char *text, Identity *ids, int count, const char *verb, const char *group) {
  int length = sprintf(text, "*%d\r\n$4\r\n%s\r\n$4\r\njobs\r\n", count + 2 + (group ? 1 : 0), verb);
  if (group) length += sprintf(text + length, "$%zu\r\n%s\r\n", strlen(group), group);
  for (int index = 0; index < count; index++)
    length += sprintf(text + length, "$%zu\r\n%s\r\n", strlen(ids[index]), ids[index]);
  return length;
}

static void finish(Link *link, Identity *ids, int count, int tell) {
  char *text = malloc((size_t)count * 96 + 512);
  if (!text) fail("memory");
  int length = on_all(text, ids, count, "XACK", "miners");
  length += on_all(text + length, ids, count, "XDEL", NULL);
  if (tell) length += COMMAND(text + length, "LPUSH", "ends", ids[0]);
  link_send(link, text, (size_t)length);
  for (int index = 0; index < (tell ? 3 : 2); index++) reply(link, NULL, 0);
  free(text);
}

static void hear(Link *link) {
  char text[128];
  link_send(link, text, (size_t)COMMAND(text, "BLPOP", "ends", "10"));
  reply(link, NULL, 0);
}

const Broker redis_broker = {prepare, attend, submit, take, finish, hear};
