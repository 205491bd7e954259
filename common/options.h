// A process's options, each defined once: from the definition come its flag (--lease-ms), its
// environment variable (RING_LEASE_MS), its key in the config file (lease-ms = 3000) and its line
// of --help with unit, default and bounds. A flag wins over the environment, the environment over
// the file.
//
//   OptionSet options("ring-node", "A storage node of a Ringleader cluster.");
//   options.Add({.name = "data", .help = "Directory that holds everything this node stores."},
//   &data); options.Add({.name = "lease", .unit = "ms", .help = "..."}, 100, 60000, &lease_ms);
//   switch (options.Parse(argc, argv)) ...
//
// Not thread-safe; used once, at the start of main.
#ifndef RINGLEADER_COMMON_OPTIONS_H_
#define RINGLEADER_COMMON_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ringleader {

struct OptionText {
  std::string
      name;  // words joined by '-'; a unit is appended: "lease" with unit "ms" is --lease-ms
  std::string unit;  // ms, s, bytes, ...; empty for counts and names
  std::string help;  // one sentence
  bool required = false;
};

class OptionSet {
 public:
  OptionSet(absl::string_view program, absl::string_view description);
  ~OptionSet();

  // What `value` holds now is the default. The pointers outlive the set.
  void Add(const OptionText& text, std::string* value);
  void Add(const OptionText& text, std::vector<std::string>* values);  // comma separated
  void Add(const OptionText& text, int64_t low, int64_t high, int64_t* value);
  void Add(const OptionText& text, double low, double high, double* value);
  void Add(const OptionText& text, bool* value);
  void AddChoice(const OptionText& text, const std::vector<std::string>& choices,
                 std::string* value);

  // Reads the flags, the environment and the file that --config names. After OK every value is set
  // and within its bounds. kCancelled: --help or --version was asked for; the message is what to
  // print, and the process exits with 0. Any other error names the option, what is wrong with it,
  // and the file and line if it came from there; nothing is to be started.
  absl::Status Parse(int argc, const char* const* argv);

  // Each option with the value in force, `name = value` a line: for the log's first lines.
  std::string Describe() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// For main(): parses, and on --help, --version or an error prints and exits (0, 0, 2).
void ParseOrExit(OptionSet& options, int argc, const char* const* argv);

}  // namespace ringleader

#endif  // RINGLEADER_COMMON_OPTIONS_H_
