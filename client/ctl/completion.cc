// ringctl completion bash: made from the commands themselves, so that it is never behind them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/ctl/context.h"
#include "client/ctl/output.h"

namespace ringleader::ctl {
namespace {

// One `case` branch for `app` and each of its commands: the words that may come next.
void AppendBranches(const CLI::App& app, const std::string& path, std::string* script) {
  std::vector<std::string> words;
  for (const CLI::App* command : app.get_subcommands({})) words.push_back(command->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  absl::StrAppend(script, "    '", path, "') words='", absl::StrJoin(words, " "), "' ;;\n");
  for (const CLI::App* command : app.get_subcommands({})) {
    AppendBranches(*command, absl::StrCat(path, " ", command->get_name()), script);
  }
}

std::string BashCompletion(const CLI::App& app) {
  std::string branches;
  AppendBranches(app, "ringctl", &branches);
  return absl::StrCat(R"bash(# Load with: source <(ringctl completion bash)
_ringctl_words() {
  local words=
  case $1 in
)bash",
                      branches, R"bash(  esac
  echo "$words"
}
_ringctl() {
  local path=ringctl word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$word: $(_ringctl_words "$path") " in
      -*) ;;
      "$word: "*" $word "*) path="$path $word" ;;
    esac
  done
  mapfile -t COMPREPLY < <(compgen -W "$(_ringctl_words "$path")" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _ringctl ringctl
)bash");
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("completion", "Completion for a shell");
  group->require_subcommand(1);
  group->add_subcommand("bash", "source <(ringctl completion bash)")->callback([&app, &context] {
    context.run = [&app] {
      Print(BashCompletion(app));
      return absl::OkStatus();
    };
  });
}

}  // namespace ringleader::ctl
