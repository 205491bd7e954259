// Protects the contract of FileSystem on the machine's own: what the log and LevelDB's Env rely on.
#include "common/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace ringleader {
namespace {

class FileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* const base = std::getenv("TMPDIR");
    directory_ = JoinPath(base != nullptr ? base : "/tmp",
                          "ringleader_file_system_test_" + std::to_string(::getpid()));
    ASSERT_TRUE(RemoveRecursively(files_, directory_).ok());
    ASSERT_TRUE(CreateDirectories(files_, Path("a/b")).ok());
  }
  void TearDown() override { EXPECT_TRUE(RemoveRecursively(files_, directory_).ok()); }
  std::string Path(absl::string_view name) { return JoinPath(directory_, name); }
  std::string Content(absl::string_view name) {
    return ReadFile(files_, Path(name), 1 << 20).value_or("unreadable");
  }

  FileSystem& files_ = PosixFileSystem();
  std::string directory_;
};

TEST_F(FileSystemTest, AppendsAndPositionalWritesComeTogether) {
  auto file = files_.OpenForWrite(Path("f"), WriteMode::kCreate);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Append("hello ").ok());
  EXPECT_TRUE((*file)->Append(std::string(100000, 'x')).ok());
  EXPECT_TRUE((*file)->Append("tail").ok());
  EXPECT_TRUE((*file)->WriteAt(0, {"J", "", "ELLO"}).ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_EQ(Content("f"), "JELLO " + std::string(100000, 'x') + "tail");
  EXPECT_TRUE((*file)->Truncate(5).ok());
  EXPECT_TRUE((*file)->Append("!").ok());
  EXPECT_TRUE((*file)->Close().ok());
  EXPECT_EQ(Content("f"), "JELLO!");
  auto again = files_.OpenForWrite(Path("f"), WriteMode::kAppend);
  EXPECT_TRUE((*again)->Append("?").ok());
  again->reset();
  EXPECT_EQ(Content("f"), "JELLO!?");
  EXPECT_TRUE(files_.OpenForWrite(Path("f"), WriteMode::kTruncate).ok());
  EXPECT_EQ(Content("f"), "");
}

TEST_F(FileSystemTest, AWriteOfMorePiecesThanACallTakesIsWhole) {
  auto file = files_.OpenForWrite(Path("f"), WriteMode::kCreate);
  const std::vector<absl::string_view> pieces(3000, "abc");
  EXPECT_TRUE((*file)->WriteAt(1, pieces).ok());
  const std::string content = Content("f");
  EXPECT_EQ(content.size(), 9001u);
  EXPECT_EQ(content.substr(8995), "abcabc");
}

TEST_F(FileSystemTest, PreallocatedSpaceReadsAsZerosAndIsReserved) {
  auto file = files_.OpenForWrite(Path("f"), WriteMode::kCreate);
  EXPECT_TRUE((*file)->Append("abc").ok());
  EXPECT_TRUE((*file)->Preallocate(1 << 16).ok());
  EXPECT_TRUE((*file)->Preallocate(10).ok());  // does nothing
  EXPECT_EQ(*files_.FileSize(Path("f")), 1u << 16);
  EXPECT_EQ(Content("f"), "abc" + std::string((1 << 16) - 3, '\0'));
  struct stat info;
  ASSERT_EQ(::stat(Path("f").c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, 1 << 16);
}

TEST_F(FileSystemTest, ReadsEndAtTheEndOfTheFile) {
  ASSERT_TRUE(ReplaceFile(files_, Path("f"), "0123456789").ok());
  auto file = files_.OpenForRead(Path("f"));
  ASSERT_TRUE(file.ok());
  char bytes[8];
  EXPECT_EQ(*(*file)->Read(4, bytes), 6u);
  EXPECT_EQ(absl::string_view(bytes, 6), "456789");
  EXPECT_EQ(*(*file)->Read(10, bytes), 0u);
  ASSERT_TRUE(files_.RemoveFile(Path("f")).ok());
  EXPECT_EQ(*(*file)->Read(0, bytes), 8u) << "an open file outlives its name";
}

TEST_F(FileSystemTest, ErrorsSayWhatAndWhere) {
  const absl::Status missing = files_.OpenForRead(Path("none")).status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_NE(missing.message().find("/none: No such file"), absl::string_view::npos) << missing;
  ASSERT_TRUE(ReplaceFile(files_, Path("f"), "x").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(files_.OpenForWrite(Path("f"), WriteMode::kCreate).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(files_.Link(Path("f"), Path("f"))));
  EXPECT_TRUE(absl::IsAlreadyExists(files_.RemoveDirectory(Path("a"))));  // not empty
  EXPECT_TRUE(absl::IsOutOfRange(ReadFile(files_, directory_ + "/f", 0).status()));
  // A device that is always full tells apart from every other error.
  auto full = files_.OpenForWrite("/dev/full", WriteMode::kAppend);
  ASSERT_TRUE(full.ok());
  EXPECT_TRUE(absl::IsResourceExhausted((*full)->WriteAt(0, {"x"})));
}

TEST_F(FileSystemTest, NamesMoveLinkAndList) {
  ASSERT_TRUE(ReplaceFile(files_, Path("one"), "1").ok());
  ASSERT_TRUE(ReplaceFile(files_, Path("two"), "2").ok());
  EXPECT_TRUE(files_.Link(Path("one"), Path("a/link")).ok());
  EXPECT_TRUE(files_.Rename(Path("two"), Path("one")).ok());
  EXPECT_EQ(Content("one"), "2");
  EXPECT_EQ(Content("a/link"), "1");
  EXPECT_EQ(*files_.List(directory_), (std::vector<std::string>{"a", "one"}));
  EXPECT_EQ(*files_.List(Path("a")), (std::vector<std::string>{"b", "link"}));
  EXPECT_TRUE(*files_.IsDirectory(Path("a")));
  EXPECT_FALSE(*files_.IsDirectory(Path("one")));
  EXPECT_FALSE(*files_.Exists(Path("two")));
  EXPECT_TRUE(files_.SyncDirectory(Path("a")).ok());
  EXPECT_GT(*files_.FreeBytes(directory_), 0u);
  EXPECT_TRUE(RemoveRecursively(files_, Path("a")).ok());
  EXPECT_FALSE(*files_.Exists(Path("a")));
}

TEST_F(FileSystemTest, ALockIsExclusiveUntilItIsReleased) {
  auto lock = files_.Lock(Path("LOCK"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_TRUE(absl::IsUnavailable(files_.Lock(Path("LOCK")).status()));
  lock->reset();
  EXPECT_TRUE(files_.Lock(Path("LOCK")).ok());
}

TEST(PathTest, JoinsAndParents) {
  EXPECT_EQ(JoinPath("a/b", "c"), "a/b/c");
  EXPECT_EQ(JoinPath("/", "c"), "/c");
  EXPECT_EQ(JoinPath("", "c"), "c");
  EXPECT_EQ(ParentPath("a/b/c"), "a/b");
  EXPECT_EQ(ParentPath("a/b/"), "a");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(ParentPath("/"), "/");
  EXPECT_EQ(ParentPath("a"), ".");
}

}  // namespace
}  // namespace ringleader
