// How a server process uses the C library's allocator.
#ifndef RINGLEADER_COMMON_ALLOCATOR_H_
#define RINGLEADER_COMMON_ALLOCATOR_H_

namespace ringleader {

// Memory that a burst of work has freed is kept for the next one, up to 64 MiB a thread's arena. By
// default glibc gives it back to the kernel at once, and every burst pays for page faults and calls
// of mprotect anew. Called first in main.
void KeepFreedMemory();

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_ALLOCATOR_H_
