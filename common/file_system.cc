#include "common/file_system.h"

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace ringleader {

std::string JoinPath(absl::string_view directory, absl::string_view name) {
  if (directory.empty()) return std::string(name);
  return absl::StrCat(directory, directory.back() == '/' ? "" : "/", name);
}

absl::string_view ParentPath(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return path.substr(0, slash == 0 ? 1 : slash);
}

absl::Status CreateDirectories(FileSystem& file_system, absl::string_view path) {
  const absl::string_view parent = ParentPath(path);
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (exists) {
    // It may be that of an earlier attempt whose sync failed or was never reached. What is above it
    // was durable before it was made.
    const absl::Status synced = file_system.SyncDirectory(parent);
    // Whoever may not read or change the parent has not made this directory there, and not every
    // file system can sync a directory: one that another is mounted on need not. Any other error
    // (no descriptor was left) says nothing of the kind.
    const bool is_others = absl::IsPermissionDenied(synced) || absl::IsUnimplemented(synced);
    return is_others ? absl::OkStatus() : synced;
  }
  if (parent != path) RETURN_IF_ERROR(CreateDirectories(file_system, parent));
  const absl::Status created = file_system.CreateDirectory(path);
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  return file_system.SyncDirectory(parent);
}

absl::Status RemoveRecursively(FileSystem& file_system, absl::string_view path) {
  ASSIGN_OR_RETURN(const bool exists, file_system.Exists(path));
  if (!exists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool is_directory, file_system.IsDirectory(path));
  if (!is_directory) return file_system.RemoveFile(path);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, file_system.List(path));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveRecursively(file_system, JoinPath(path, name)));
  }
  return file_system.RemoveDirectory(path);
}

absl::StatusOr<std::string> ReadFile(FileSystem& file_system, absl::string_view path,
                                     uint64_t bytes_max) {
  ASSIGN_OR_RETURN(const uint64_t size, file_system.FileSize(path));
  if (size > bytes_max) {
    return absl::OutOfRangeError(
        absl::StrCat(path, " has ", size, " bytes, more than the ", bytes_max, " expected"));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<RandomAccessFile> file, file_system.OpenForRead(path));
  std::string content(size, '\0');
  ASSIGN_OR_RETURN(const size_t got, file->Read(0, absl::MakeSpan(&content[0], content.size())));
  content.resize(got);
  return content;
}

absl::Status ReplaceFile(FileSystem& file_system, absl::string_view path,
                         absl::string_view content) {
  const std::string aside = absl::StrCat(path, ".new");
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file,
                   file_system.OpenForWrite(aside, WriteMode::kTruncate));
  RETURN_IF_ERROR(file->Append(content));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(file->Close());
  RETURN_IF_ERROR(file_system.Rename(aside, path));
  return file_system.SyncDirectory(ParentPath(path));
}

}  // namespace ringleader
