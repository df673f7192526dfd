#include "readers.h"

// Log-linear: 64 steps for each power of two, so a value is at most 1.6 % off.

static int index_of(uint64_t value) {
  if (value < 64) return (int)value;
  int exponent = 63 - __builtin_clzll(value);
  return (exponent - 5) * 64 + (int)((value >> (exponent - 6)) & 63);
}

static uint64_t value_at(int index) {
  if (index < 64) return (uint64_t)index;
  int exponent = index / 64 + 5;
  return ((uint64_t)(64 + (index & 63)) << (exponent - 6)) + ((1ull << (exponent - 6)) >> 1);
}

void note(Histogram *histogram, uint64_t value) {
  histogram->counts[index_of(value)]++;
  histogram->total++;
  histogram->sum += value;
  if (value > histogram->highest) histogram->highest = value;
}

double quantile_us(const Histogram *histogram, double part) {
  if (!histogram->total) return 0;
  uint64_t wanted = (uint64_t)(part * (double)histogram->total), seen = 0;
  if (wanted >= histogram->total) wanted = histogram->total - 1;
  for (int index = 0; index < 64 * 64; index++) {
    seen += histogram->counts[index];
    if (seen > wanted) {
      uint64_t value = value_at(index);
      return (double)(value > histogram->highest ? histogram->highest : value) / 1e3;
    }
  }
  return (double)histogram->highest / 1e3;
}
