/* Tells ThreadSanitizer of Synchronization.Mutex, whose slow paths stand in a library that it has not instrumented: without
 * this every contended lock looks like a race. Linked into the tests by scripts/sanitize.
 *
 * The functions are Swift's own by their mangled names, called here in Swift's convention (the handle in the register for
 * self); they are found behind ours with dlsym(3). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self
#define NAME(suffix) "$s15Synchronization12_MutexHandleV" suffix

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(NAME("9_lockSlowyys6UInt32VF"));
SWIFT void unlock_slow(SELF) __asm__(NAME("11_unlockSlowyyF"));
SWIFT bool try_lock_slow(SELF) __asm__(NAME("12_tryLockSlowSbyF"));

SWIFT void lock_slow(uint32_t thread, SELF) {
  SWIFT void (*next)(uint32_t, SELF) = dlsym(RTLD_NEXT, NAME("9_lockSlowyys6UInt32VF"));
  next(thread, self);
  __tsan_acquire(self);
}

SWIFT void unlock_slow(SELF) {
  SWIFT void (*next)(SELF) = dlsym(RTLD_NEXT, NAME("11_unlockSlowyyF"));
  __tsan_release(self);
  next(self);
}

SWIFT bool try_lock_slow(SELF) {
  SWIFT bool (*next)(SELF) = dlsym(RTLD_NEXT, NAME("12_tryLockSlowSbyF"));
  bool taken = next(self);
  if (taken) __tsan_acquire(self);
  return taken;
}
