// Recursive descent over the grammar in update.h.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/error.h"
#include "model/expression_parser.h"
#include "model/projection.h"
#include "model/update.h"

namespace ringleader::model {
namespace {

using Kind = UpdateValue::Kind;
using Action = UpdateAction::Kind;

struct Section {
  absl::string_view word;
  Action kind;
};
constexpr Section kSections[] = {{"SET", Action::kSet},
                                 {"REMOVE", Action::kRemove},
                                 {"ADD", Action::kAdd},
                                 {"DELETE", Action::kDelete}};

constexpr absl::string_view kIfNotExists = "if_not_exists";
constexpr absl::string_view kListAppend = "list_append";

// The types' names in the errors of ADD and DELETE.
absl::string_view LongTypeName(AttributeType type) {
  switch (type) {
    case AttributeType::kString:
      return "STRING";
    case AttributeType::kNumber:
      return "NUMBER";
    case AttributeType::kBinary:
      return "BINARY";
    case AttributeType::kBool:
      return "BOOLEAN";
    case AttributeType::kNull:
      return "NULL";
    case AttributeType::kMap:
      return "MAP";
    case AttributeType::kList:
      return "LIST";
    default:
      return TypeName(type);
  }
}

class UpdateParser {
 public:
  UpdateParser(absl::string_view text, Placeholders* placeholders)
      : parser_(text, ExpressionKind::kUpdate, placeholders) {}

  absl::StatusOr<std::vector<UpdateAction>> Parse() {
    RETURN_IF_ERROR(parser_.CheckText());
    while (!parser_.AtEnd()) RETURN_IF_ERROR(ParseSection());
    CheckActionPaths();
    RETURN_IF_ERROR(parser_.NotedError());
    return std::move(actions_);
  }

 private:
  absl::Status ParseSection() {
    for (const Section& section : kSections) {
      if (!parser_.AcceptWord(section.word)) continue;
      bool& seen = seen_[static_cast<size_t>(section.kind)];
      if (seen) {
        parser_.Note(ErrorSlot::kSection,
                     absl::StrCat("The \"", section.word,
                                  "\" section can only be used once in an update expression;"));
      }
      seen = true;
      do {
        RETURN_IF_ERROR(ParseAction(section));
      } while (parser_.Accept(","));
      return absl::OkStatus();
    }
    return parser_.SyntaxError();
  }

  absl::Status ParseAction(const Section& section) {
    UpdateAction action;
    action.kind = section.kind;
    RETURN_IF_ERROR(parser_.ParsePath(&action.path));
    if (section.kind == Action::kSet) {
      RETURN_IF_ERROR(parser_.Expect("="));
      RETURN_IF_ERROR(ParseValue(&action.value));
    } else if (section.kind != Action::kRemove) {
      if (parser_.next().kind != TokenKind::kValue) return parser_.SyntaxError();
      action.value.value = parser_.TakeValue();
      CheckSetOperand(section, action.value.value);
    }
    actions_.push_back(std::move(action));
    return absl::OkStatus();
  }

  // ADD takes numbers and sets, DELETE sets.
  void CheckSetOperand(const Section& section, const AttributeValue* value) {
    if (value == nullptr || value->is_set()) return;
    if (section.kind == Action::kAdd && value->is_number()) return;
    parser_.Note(ErrorSlot::kOperand,
                 absl::StrCat("Incorrect operand type for operator or function; operator: ",
                              section.word, ", operand type: ", LongTypeName(value->type()),
                              ", typeSet: ALLOWED_FOR_", section.word, "_OPERAND"));
  }

  absl::Status ParseValue(UpdateValue* value) {
    RETURN_IF_ERROR(ParseOperand(value));
    for (const auto& [sign, kind] : {std::pair("+", Kind::kAdd), std::pair("-", Kind::kSubtract)}) {
      if (!parser_.Accept(sign)) continue;
      parser_.CountOperator();
      UpdateValue sum;
      sum.kind = kind;
      sum.operands.push_back(std::move(*value));
      RETURN_IF_ERROR(ParseOperand(&sum.operands.emplace_back()));
      CheckNested(sum);
      CheckOperandTypes(sum, sign, AttributeType::kNumber);
      *value = std::move(sum);
      break;
    }
    return absl::OkStatus();
  }

  absl::Status ParseOperand(UpdateValue* value) {
    RETURN_IF_ERROR(parser_.Enter());
    if (parser_.Accept("(")) {
      RETURN_IF_ERROR(ParseValue(value));
      RETURN_IF_ERROR(parser_.Expect(")"));
    } else if (parser_.next().kind == TokenKind::kValue) {
      value->kind = Kind::kValue;
      value->value = parser_.TakeValue();
    } else if (parser_.next().kind == TokenKind::kIdentifier && !parser_.NextIsKeyword() &&
               parser_.after_next().text == "(") {
      RETURN_IF_ERROR(ParseFunction(value));
    } else {
      value->kind = Kind::kPath;
      RETURN_IF_ERROR(parser_.ParsePath(&value->path));
    }
    parser_.Leave();
    return absl::OkStatus();
  }

  absl::Status ParseFunction(UpdateValue* value) {
    const std::string name(parser_.next().text);
    parser_.Advance();
    parser_.CountOperator();
    RETURN_IF_ERROR(parser_.Expect("("));
    do {
      RETURN_IF_ERROR(ParseOperand(&value->operands.emplace_back()));
    } while (parser_.Accept(","));
    RETURN_IF_ERROR(parser_.Expect(")"));
    CheckNested(*value);
    if (name == kIfNotExists) {
      value->kind = Kind::kIfNotExists;
      if (!CheckOperandCount(name, *value)) return absl::OkStatus();
      if (value->operands[0].kind != Kind::kPath) {
        parser_.Note(ErrorSlot::kFunction,
                     absl::StrCat("Operator or function requires a document path; operator or "
                                  "function: ",
                                  name));
      }
      value->path = std::move(value->operands[0].path);
      value->operands.erase(value->operands.begin());
    } else if (name == kListAppend) {
      value->kind = Kind::kListAppend;
      if (CheckOperandCount(name, *value)) CheckOperandTypes(*value, name, AttributeType::kList);
    } else {
      parser_.NoteUnknownFunction(name);
    }
    return absl::OkStatus();
  }

  bool CheckOperandCount(absl::string_view name, const UpdateValue& value) {
    if (value.operands.size() == 2) return true;
    parser_.Note(ErrorSlot::kFunction,
                 absl::StrCat("Incorrect number of operands for operator or function; operator or "
                              "function: ",
                              name, ", number of operands: ", value.operands.size()));
    return false;
  }

  // Of the functions only if_not_exists may stand within another, or in a sum.
  void CheckNested(const UpdateValue& value) {
    for (const UpdateValue& operand : value.operands) {
      if (operand.kind == Kind::kListAppend) parser_.NoteMisusedFunction(kListAppend);
    }
  }

  // Operands that are given values must be of that type already now.
  void CheckOperandTypes(const UpdateValue& value, absl::string_view name, AttributeType wanted) {
    for (const UpdateValue& operand : value.operands) {
      if (operand.kind != Kind::kValue || operand.value == nullptr) continue;
      if (operand.value->type() == wanted) continue;
      parser_.Note(ErrorSlot::kFunction,
                   absl::StrCat("Incorrect operand type for operator or function; operator or "
                                "function: ",
                                name, ", operand type: ", TypeName(operand.value->type())));
    }
  }

  void CheckActionPaths() {
    std::vector<Path> paths;
    paths.reserve(actions_.size());
    for (const UpdateAction& action : actions_) paths.push_back(action.path);
    bool overlap = false;
    const absl::Status status = CheckPaths(paths, &overlap);
    if (status.ok()) return;
    parser_.Note(overlap ? ErrorSlot::kOverlap : ErrorSlot::kConflict,
                 std::string(status.message()));
  }

  ExpressionParser parser_;
  std::vector<UpdateAction> actions_;
  bool seen_[4] = {};
};

}  // namespace

absl::StatusOr<Update> Update::Parse(absl::string_view text, Placeholders* placeholders) {
  UpdateParser parser(text, placeholders);
  ASSIGN_OR_RETURN(std::vector<UpdateAction> actions, parser.Parse());
  return Update(std::move(actions));
}

bool Update::CanCreate() const {
  return std::any_of(actions_.begin(), actions_.end(), [](const UpdateAction& action) {
    return action.kind == Action::kSet || action.kind == Action::kAdd;
  });
}

absl::Status Update::CheckKeys(const KeySchema& key) const {
  for (const UpdateAction& action : actions_) {
    if (key.Contains(action.path.front().name)) {
      return InvalidParameter(absl::StrCat("Cannot update attribute ", action.path.front().name,
                                           ". This attribute is part of the key"));
    }
  }
  return absl::OkStatus();
}

std::vector<Path> Update::Paths() const {
  std::vector<Path> paths;
  paths.reserve(actions_.size());
  for (const UpdateAction& action : actions_) paths.push_back(action.path);
  return paths;
}

}  // namespace ringleader::model
