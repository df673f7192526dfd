// Frames of RFC 6455 as these servers send them: unfragmented messages, and control frames.
#define _GNU_SOURCE  // memmem
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "readers.h"

// Client frames are masked: with zero, which is legal and cheap.
int send_frame(Reader *reader, int opcode, const void *payload, size_t count) {
  uint8_t frame[2 + 4 + 125] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | count)};
  if (count > 125) return -1;
  memcpy(frame + 6, payload, count);
  return send(reader->socket, frame, 6 + count, MSG_NOSIGNAL) == (ssize_t)(6 + count) ? 0 : -1;
}

// The number behind `key`. Messages look alike, so `*hint` remembers where the key stood.
static int find_number(const uint8_t *text, size_t count, const char *key, size_t *hint, uint64_t *value) {
  size_t length = strlen(key);
  const uint8_t *found = NULL, *end = text + count;
  for (size_t shift = 0; shift < 3 && !found; shift++) {
    size_t at = *hint + shift;
    if (at + length <= count && !memcmp(text + at, key, length)) found = text + at;
  }
  if (!found) found = memmem(text, count, key, length);
  if (!found) return 0;
  *hint = (size_t)(found - text);
  const uint8_t *digit = found + length;
  uint64_t number = 0;
  int any = 0;
  for (; digit < end && *digit >= '0' && *digit <= '9'; digit++, any = 1) number = number * 10 + (uint64_t)(*digit - '0');
  *value = number;
  return any;
}

// The epoch goes into the address when a reader comes back.
static void learn_epoch(const uint8_t *text, size_t count) {
  const char key[] = "\"epoch\":\"";
  const uint8_t *found = memmem(text, count, key, sizeof key - 1);
  if (!found) return;
  found += sizeof key - 1;
  size_t length = 0;
  while (found + length < text + count && found[length] != '"' && length < sizeof totals.epoch - 1) length++;
  memcpy(totals.epoch, found, length);
  totals.epoch[length] = 0;
}

static void message(Reader *reader, const uint8_t *text, size_t count, uint64_t now) {
  static size_t sequence_hint, time_hint;
  uint64_t value;
  reader->messages++;
  if (find_number(text, count, "\"seq\":", &sequence_hint, &value)) {
    if (!totals.epoch[0]) learn_epoch(text, count);
    int is_place = memmem(text, count < 24 ? count : 24, "\"snapshot\"", 10) != NULL;
    if (memmem(text, count < 24 ? count : 24, "\"reset\"", 7)) totals.resets++;
    else if (!is_place && reader->last && value > reader->last + 1) totals.gaps += value - reader->last - 1;
    else if (!is_place && reader->last && value <= reader->last) totals.repeats++;
    reader->last = value;
  }
  if (!totals.measuring) return;
  totals.messages++;
  totals.payload += count;
  if (!reader->paused && find_number(text, count, options.time_key, &time_hint, &value)) note(&totals.delays, now > value ? now - value : 0);
}

static void inflate_message(Reader *reader, uint8_t *bytes, size_t count, uint64_t now) {
  static uint8_t text[1 << 20], tail[4] = {0, 0, 0xff, 0xff};
  if (!reader->inflater) {
    reader->inflater = calloc(1, sizeof *reader->inflater);
    if (!reader->inflater || inflateInit2(reader->inflater, -15) != Z_OK) exit(3);
  }
  reader->inflater->next_out = text;
  reader->inflater->avail_out = sizeof text;
  for (int part = 0; part < 2; part++) {
    reader->inflater->next_in = part ? tail : bytes;
    reader->inflater->avail_in = part ? sizeof tail : (uInt)count;
    int result = inflate(reader->inflater, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) {
      totals.faults++;
      return;
    }
  }
  message(reader, text, sizeof text - reader->inflater->avail_out, now);
}

// 0: goes on.
static int control(Reader *reader, int opcode, const uint8_t *payload, size_t count) {
  if (opcode == 9) return send_frame(reader, 10, payload, count);
  if (opcode != 8) return 0;
  reader->close_code = count >= 2 ? (uint16_t)(payload[0] << 8 | payload[1]) : 1005;
  send_frame(reader, 8, payload, count < 2 ? 0 : 2);
  return -1;
}

ssize_t take_frames(Reader *reader, uint8_t *bytes, size_t count, uint64_t now) {
  size_t at = 0;
  while (count - at >= 2) {
    size_t head = 2, length = bytes[at + 1] & 127;
    int opcode = bytes[at] & 15;
    if (bytes[at + 1] & 128) return totals.faults++, -1;  // a server must not mask
    if (length == 126) {
      if (count - at < 4) break;
      length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
      head = 4;
    } else if (length == 127) {
      if (count - at < 10) break;
      length = 0;
      for (int octet = 2; octet < 10; octet++) length = length << 8 | bytes[at + (size_t)octet];
      head = 10;
    }
    if (length > READ_SIZE - 16) return totals.faults++, -1;
    if (count - at < head + length) break;
    uint8_t *payload = bytes + at + head;
    if (opcode >= 8) {
      if (control(reader, opcode, payload, length)) return -1;
    } else if (!(bytes[at] & 0x80)) {
      totals.faults++;  // a fragment
    } else if (bytes[at] & 0x40) {
      inflate_message(reader, payload, length, now);
    } else {
      message(reader, payload, length, now);
    }
    at += head + length;
  }
  return (ssize_t)at;
}
