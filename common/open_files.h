// How many files and connections a server process may have open.
#ifndef RINGLEADER_COMMON_OPEN_FILES_H_
#define RINGLEADER_COMMON_OPEN_FILES_H_

namespace ringleader {

// Raises the process's own limit as far as the system lets it, up to 65536. A login shell's 1024
// is what a thousand idle connections take, and then LevelDB can't open its tables. Called first in
// main.
void RaiseOpenFilesLimit();

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_OPEN_FILES_H_
