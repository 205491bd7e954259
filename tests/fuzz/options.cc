// A process's configuration: any command line and any file is refused with a message, or leaves
// every value within its bounds.
#include "common/options.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/address.h"
#include "tests/fuzz/fuzz.h"

namespace ringleader {
namespace {

struct Values {
  std::string data;
  std::vector<std::string> coordinators;
  int64_t lease_ms = 3000;
  double drift = 0.01;
  bool insecure = false;
  std::string mode = "lease";
};

void Define(OptionSet& options, Values& values) {
  options.Add({.name = "data", .help = "A directory.", .required = true}, &values.data);
  options.Add({.name = "coordinators", .help = "Addresses."}, &values.coordinators);
  options.Add({.name = "lease", .unit = "ms", .help = "A time."}, 100, 60000, &values.lease_ms);
  options.Add({.name = "drift", .help = "A part."}, 0, 0.5, &values.drift);
  options.Add({.name = "insecure", .help = "A switch."}, &values.insecure);
  options.AddChoice({.name = "read-mode", .help = "A choice."}, {"lease", "quorum"}, &values.mode);
}

void Check(const absl::Status& parsed, const OptionSet& options, const Values& values) {
  if (!parsed.ok()) {
    CHECK(!parsed.message().empty());
    return;
  }
  CHECK(values.lease_ms >= 100 && values.lease_ms <= 60000);
  CHECK(values.drift >= 0 && values.drift <= 0.5);
  CHECK(values.mode == "lease" || values.mode == "quorum");
  CHECK(!options.Describe().empty());
}

// A file in memory: nothing to clean up, nothing that other processes see.
class MemoryFile {
 public:
  explicit MemoryFile(absl::string_view content) : file_(memfd_create("config", 0)) {
    CHECK(file_ >= 0);
    CHECK(write(file_, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  }
  ~MemoryFile() { close(file_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  const int file_;
};

void FuzzFile(absl::string_view content) {
  const MemoryFile file(content);
  const std::string path = file.path();
  Values values;
  OptionSet options("fuzz", "A program.");
  Define(options, values);
  const char* const words[] = {"fuzz", "--config", path.c_str()};
  Check(options.Parse(3, words), options, values);
}

void FuzzAddress(absl::string_view text) {
  const auto address = ParseAddress(text);
  IsLoopback(text);
  if (address.ok()) CHECK(!ReachableAddress(text, text).empty());
}

void FuzzWords(fuzz::Input input) {
  std::vector<std::string> words = {"fuzz"};
  while (!input.empty() && words.size() < 32) words.emplace_back(input.Text());
  for (const std::string& word : words) {
    if (word.find("config") != std::string::npos) return;  // would read any file of the machine
  }
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  Values values;
  OptionSet options("fuzz", "A program.");
  Define(options, values);
  Check(options.Parse(static_cast<int>(pointers.size()), pointers.data()), options, values);
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringleader::fuzz::Input input(ringleader::fuzz::View(data, size));
  // A letter says which source, so that the corpus can be read: f file, w words that end with 00,
  // a address.
  const uint8_t source = input.Byte();
  if (source == 'f') {
    ringleader::FuzzFile(input.Rest());
  } else if (source == 'w') {
    ringleader::FuzzWords(input);
  } else if (source == 'a') {
    ringleader::FuzzAddress(input.Rest());
  } else {
    return -1;  // not worth keeping
  }
  return 0;
}
