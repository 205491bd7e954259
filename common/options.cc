#include "common/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/build_info.h"
#include "common/status.h"

namespace ringleader {
namespace {

std::string FullName(const OptionText& text) {
  return text.unit.empty() ? text.name : absl::StrCat(text.name, "-", text.unit);
}

std::string EnvironmentName(absl::string_view full_name) {
  return absl::StrCat("RING_", absl::AsciiStrToUpper(absl::StrReplaceAll(full_name, {{"-", "_"}})));
}

std::string Number(double value) { return absl::StrCat(value); }
std::string Number(int64_t value) { return absl::StrCat(value); }

bool ParseNumber(absl::string_view text, int64_t* value) { return absl::SimpleAtoi(text, value); }
bool ParseNumber(absl::string_view text, double* value) { return absl::SimpleAtod(text, value); }

}  // namespace

struct OptionSet::State {
  struct Option {
    std::string name;
    bool required = false;
    std::function<absl::Status(absl::string_view)> set;
    std::function<std::string()> show;
    std::string flag_text;  // what the command line gave
    CLI::Option* flag = nullptr;
    bool given = false;  // by any source
  };

  explicit State(absl::string_view program, absl::string_view description)
      : app(std::string(description), std::string(program)) {}

  CLI::App app;
  std::string config_path;
  std::vector<std::unique_ptr<Option>> options;
  std::map<std::string, Option*> by_name;

  void Define(const OptionText& text, absl::string_view shape,
              std::function<absl::Status(absl::string_view)> set, std::function<std::string()> show,
              bool is_switch = false);
  absl::Status Apply(Option& option, absl::string_view value, absl::string_view source);
  absl::Status ReadFile();
  absl::Status ReadEnvironment();
};

void OptionSet::State::Define(const OptionText& text, absl::string_view shape,
                              std::function<absl::Status(absl::string_view)> set,
                              std::function<std::string()> show, bool is_switch) {
  auto option = std::make_unique<Option>();
  option->name = FullName(text);
  option->required = text.required;
  option->set = std::move(set);
  option->show = std::move(show);
  const std::string default_text = option->show();
  const std::string help =
      absl::StrCat(text.help, shape.empty() ? "" : absl::StrCat(" ", shape), ". ",
                   text.required          ? "Required"
                   : default_text.empty() ? "Default: none"
                                          : absl::StrCat("Default: ", default_text),
                   ". Environment: ", EnvironmentName(option->name));
  option->flag = app.add_option(absl::StrCat("--", option->name), option->flag_text, help);
  option->flag->type_name(text.unit.empty() ? "" : absl::AsciiStrToUpper(text.unit));
  if (is_switch) option->flag->expected(0, 1)->default_str("true");
  by_name[option->name] = option.get();
  options.push_back(std::move(option));
}

absl::Status OptionSet::State::Apply(Option& option, absl::string_view value,
                                     absl::string_view source) {
  option.given = true;
  return Annotate(option.set(value), source);
}

// Lines of `key = value`; '#' starts a comment. A key twice is an error: one of them would be
// ignored.
absl::Status OptionSet::State::ReadFile() {
  if (config_path.empty()) return absl::OkStatus();
  std::ifstream file(config_path);
  if (!file) return absl::NotFoundError(absl::StrCat(config_path, ": can't be read"));
  std::map<std::string, int> seen;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const absl::string_view content =
        absl::StripAsciiWhitespace(absl::string_view(line).substr(0, line.find('#')));
    if (content.empty()) continue;
    const std::string where = absl::StrCat(config_path, ":", number);
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(content, absl::MaxSplits('=', 1));
    const std::string key(absl::StripAsciiWhitespace(parts.first));
    if (!absl::StrContains(content, '=')) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": expected `key = value`"));
    }
    const auto found = by_name.find(key);
    if (found == by_name.end()) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": there is no option ", key));
    }
    if (const auto [first, fresh] = seen.emplace(key, number); !fresh) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": ", key, " is already set in line ", first->second));
    }
    RETURN_IF_ERROR(Apply(*found->second, absl::StripAsciiWhitespace(parts.second), where));
  }
  return absl::OkStatus();
}

absl::Status OptionSet::State::ReadEnvironment() {
  for (const auto& option : options) {
    const std::string variable = EnvironmentName(option->name);
    const char* value = std::getenv(variable.c_str());
    if (value != nullptr) RETURN_IF_ERROR(Apply(*option, value, variable));
  }
  return absl::OkStatus();
}

OptionSet::OptionSet(absl::string_view program, absl::string_view description)
    : state_(std::make_unique<State>(program, description)) {
  state_->app
      .add_option("--config", state_->config_path,
                  "File with `key = value` lines; the keys are the names of the flags")
      ->envname("RING_CONFIG");
  state_->app.set_version_flag("--version", std::string(BuildDescription()));
}

OptionSet::~OptionSet() = default;

void OptionSet::Add(const OptionText& text, std::string* value) {
  state_->Define(
      text, "",
      [value](absl::string_view given) {
        *value = std::string(given);
        return absl::OkStatus();
      },
      [value] { return *value; });
}

void OptionSet::Add(const OptionText& text, std::vector<std::string>* values) {
  state_->Define(
      text, "(comma separated)",
      [values](absl::string_view given) {
        *values = absl::StrSplit(given, ',', absl::SkipWhitespace());
        for (std::string& value : *values) absl::StripAsciiWhitespace(&value);
        return absl::OkStatus();
      },
      [values] { return absl::StrJoin(*values, ","); });
}

template <typename T>
static std::function<absl::Status(absl::string_view)> BoundedSetter(const std::string& name, T low,
                                                                    T high, T* value) {
  return [=](absl::string_view given) {
    T parsed;
    if (!ParseNumber(given, &parsed) || !(parsed >= low && parsed <= high)) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is '", given,
                                                     "'; it must be a number from ", Number(low),
                                                     " to ", Number(high)));
    }
    *value = parsed;
    return absl::OkStatus();
  };
}

void OptionSet::Add(const OptionText& text, int64_t low, int64_t high, int64_t* value) {
  state_->Define(text, absl::StrCat("(", low, " to ", high, ")"),
                 BoundedSetter(FullName(text), low, high, value),
                 [value] { return Number(*value); });
}

void OptionSet::Add(const OptionText& text, double low, double high, double* value) {
  state_->Define(text, absl::StrCat("(", low, " to ", high, ")"),
                 BoundedSetter(FullName(text), low, high, value),
                 [value] { return Number(*value); });
}

void OptionSet::Add(const OptionText& text, bool* value) {
  state_->Define(
      text, "(true or false)",
      [name = FullName(text), value](absl::string_view given) {
        if (given == "true" || given == "1" || given.empty()) {
          *value = true;
        } else if (given == "false" || given == "0") {
          *value = false;
        } else {
          return absl::InvalidArgumentError(
              absl::StrCat("--", name, " is '", given, "'; it must be true or false"));
        }
        return absl::OkStatus();
      },
      [value] { return *value ? "true" : "false"; }, /*is_switch=*/true);
}

void OptionSet::AddChoice(const OptionText& text, const std::vector<std::string>& choices,
                          std::string* value) {
  const std::string listed = absl::StrJoin(choices, ", ");
  state_->Define(
      text, absl::StrCat("(one of ", listed, ")"),
      [=, name = FullName(text)](absl::string_view given) {
        for (const std::string& choice : choices) {
          if (given == choice) {
            *value = choice;
            return absl::OkStatus();
          }
        }
        return absl::InvalidArgumentError(
            absl::StrCat("--", name, " is '", given, "'; it must be one of ", listed));
      },
      [value] { return *value; });
}

absl::Status OptionSet::Parse(int argc, const char* const* argv) {
  try {
    state_->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return absl::CancelledError(state_->app.help());
  } catch (const CLI::CallForVersion& version) {
    return absl::CancelledError(absl::StrCat(version.what(), "\n"));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), " (", state_->app.get_name(), " --help lists the options)"));
  }
  RETURN_IF_ERROR(state_->ReadFile());
  RETURN_IF_ERROR(state_->ReadEnvironment());
  for (const auto& option : state_->options) {
    if (option->flag->count() > 0) {
      RETURN_IF_ERROR(state_->Apply(*option, option->flag_text, "command line"));
    }
    if (option->required && !option->given) {
      return absl::InvalidArgumentError(absl::StrCat("--", option->name, " is required"));
    }
  }
  return absl::OkStatus();
}

std::string OptionSet::Describe() const {
  std::string text;
  for (const auto& option : state_->options) {
    absl::StrAppend(&text, option->name, " = ", option->show(), "\n");
  }
  return text;
}

void ParseOrExit(OptionSet& options, int argc, const char* const* argv) {
  const absl::Status parsed = options.Parse(argc, argv);
  if (parsed.ok()) return;
  const std::string message(parsed.message());
  if (absl::IsCancelled(parsed)) {
    std::fputs(message.c_str(), stdout);
    std::exit(0);
  }
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(2);
}

}  // namespace ringleader
