// Recursive descent over the grammar in condition.h. A parenthesis may open an operand or a
// condition, which shows only after it has been read: so everything is a Term, and what uses a term
// checks which of the two it is.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "model/condition.h"
#include "model/condition_check.h"
#include "model/expression_parser.h"

namespace ringleader::model {
namespace {

using Operator = ConditionNode::Operator;

// Either an operand or a condition.
struct Term {
  bool is_operand = false;
  Operand operand;
  ConditionNode condition;
  bool in_parentheses = false;
  std::string function;  // the function's name if the term is a call and nothing else
};

struct Function {
  absl::string_view name;
  Operator op;
  size_t operands;
};
constexpr Function kFunctions[] = {
    {"attribute_exists", Operator::kAttributeExists, 1},
    {"attribute_not_exists", Operator::kAttributeNotExists, 1},
    {"attribute_type", Operator::kAttributeType, 2},
    {"begins_with", Operator::kBeginsWith, 2},
    {"contains", Operator::kContains, 2},
};
constexpr absl::string_view kSize = "size";

struct Comparator {
  absl::string_view text;
  Operator op;
};
constexpr Comparator kComparators[] = {
    {"=", Operator::kEqual},        {"<>", Operator::kNotEqual}, {"<", Operator::kLess},
    {"<=", Operator::kLessOrEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterOrEqual},
};

class ConditionParser {
 public:
  ConditionParser(absl::string_view text, ExpressionKind kind, Placeholders* placeholders)
      : parser_(text, kind, placeholders) {}

  absl::StatusOr<ConditionNode> Parse() {
    RETURN_IF_ERROR(parser_.CheckText());
    Term term;
    RETURN_IF_ERROR(ParseOr(&term));
    if (!parser_.AtEnd()) return parser_.SyntaxError();
    RETURN_IF_ERROR(RequireCondition(&term));
    RETURN_IF_ERROR(parser_.NotedError());
    return std::move(term.condition);
  }

 private:
  absl::Status ParseOr(Term* term) {
    return ParseSequence(term, "OR", Operator::kOr, &ConditionParser::ParseAnd);
  }
  absl::Status ParseAnd(Term* term) {
    return ParseSequence(term, "AND", Operator::kAnd, &ConditionParser::ParseNot);
  }

  // Terms joined by one word, as one node: long chains don't nest.
  absl::Status ParseSequence(Term* term, absl::string_view word, Operator op,
                             absl::Status (ConditionParser::*parse)(Term*)) {
    RETURN_IF_ERROR((this->*parse)(term));
    if (!parser_.NextIsWord(word)) return absl::OkStatus();
    RETURN_IF_ERROR(RequireCondition(term));
    ConditionNode node;
    node.op = op;
    node.conditions.push_back(std::move(term->condition));
    while (parser_.AcceptWord(word)) {
      parser_.CountOperator();
      Term next;
      RETURN_IF_ERROR((this->*parse)(&next));
      RETURN_IF_ERROR(RequireCondition(&next));
      node.conditions.push_back(std::move(next.condition));
    }
    *term = Term();
    term->condition = std::move(node);
    return absl::OkStatus();
  }

  absl::Status ParseNot(Term* term) {
    if (!parser_.AcceptWord("NOT")) return ParseComparison(term);
    parser_.CountOperator();
    RETURN_IF_ERROR(parser_.Enter());
    Term inner;
    RETURN_IF_ERROR(ParseNot(&inner));
    RETURN_IF_ERROR(RequireCondition(&inner));
    parser_.Leave();
    term->condition.op = Operator::kNot;
    term->condition.conditions.push_back(std::move(inner.condition));
    return absl::OkStatus();
  }

  absl::Status ParseComparison(Term* term) {
    RETURN_IF_ERROR(ParsePrimary(term));
    ConditionNode leaf;
    for (const Comparator& comparator : kComparators) {
      if (!parser_.NextIs(comparator.text)) continue;
      leaf.op = comparator.op;
      RETURN_IF_ERROR(BeginLeaf(term, &leaf));
      RETURN_IF_ERROR(ParseOperandInto(&leaf));
      return FinishLeaf(std::move(leaf), term);
    }
    if (parser_.NextIsWord("BETWEEN")) {
      leaf.op = Operator::kBetween;
      RETURN_IF_ERROR(BeginLeaf(term, &leaf));
      RETURN_IF_ERROR(ParseOperandInto(&leaf));
      if (!parser_.AcceptWord("AND")) return parser_.SyntaxError();
      RETURN_IF_ERROR(ParseOperandInto(&leaf));
      return FinishLeaf(std::move(leaf), term);
    }
    if (parser_.NextIsWord("IN")) {
      leaf.op = Operator::kIn;
      RETURN_IF_ERROR(BeginLeaf(term, &leaf));
      RETURN_IF_ERROR(ParseInList(&leaf));
      return FinishLeaf(std::move(leaf), term);
    }
    return absl::OkStatus();
  }

  // The left side was read; takes the operator.
  absl::Status BeginLeaf(Term* left, ConditionNode* leaf) {
    RETURN_IF_ERROR(RequireOperand(left));
    leaf->operands.push_back(std::move(left->operand));
    parser_.Advance();
    parser_.CountOperator();
    return absl::OkStatus();
  }

  absl::Status ParseOperandInto(ConditionNode* leaf) {
    Term term;
    RETURN_IF_ERROR(ParsePrimary(&term));
    RETURN_IF_ERROR(RequireOperand(&term));
    leaf->operands.push_back(std::move(term.operand));
    return absl::OkStatus();
  }

  absl::Status ParseInList(ConditionNode* leaf) {
    RETURN_IF_ERROR(parser_.Expect("("));
    do {
      RETURN_IF_ERROR(ParseOperandInto(leaf));
    } while (parser_.Accept(","));
    const size_t operands = leaf->operands.size() - 1;
    if (operands > static_cast<size_t>(kInOperandsMax)) {
      parser_.Note(ErrorSlot::kLimit,
                   absl::StrCat("The IN operator is provided with too many operands; number of "
                                "operands: ",
                                operands));
    }
    return parser_.Expect(")");
  }

  absl::Status FinishLeaf(ConditionNode leaf, Term* term) {
    CheckLeaf(leaf, &parser_);
    parser_.FinishLeaf();
    *term = Term();
    term->condition = std::move(leaf);
    return absl::OkStatus();
  }

  absl::Status ParsePrimary(Term* term) {
    RETURN_IF_ERROR(parser_.Enter());
    if (parser_.Accept("(")) {
      RETURN_IF_ERROR(ParseOr(term));
      RETURN_IF_ERROR(parser_.Expect(")"));
      if (term->in_parentheses) {
        parser_.Note(ErrorSlot::kParentheses, "The expression has redundant parentheses;");
      }
      term->in_parentheses = true;
    } else if (parser_.next().kind == TokenKind::kIdentifier &&
               parser_.after_next().kind == TokenKind::kPunctuation &&
               parser_.after_next().text == "(" && !parser_.NextIsKeyword()) {
      RETURN_IF_ERROR(ParseFunction(term));
    } else {
      term->is_operand = true;
      if (parser_.next().kind == TokenKind::kValue) {
        term->operand.value = parser_.TakeValue();
      } else {
        RETURN_IF_ERROR(parser_.ParsePath(&term->operand.path));
      }
    }
    parser_.Leave();
    return absl::OkStatus();
  }

  absl::Status ParseFunction(Term* term) {
    const std::string name(parser_.next().text);
    parser_.Advance();
    parser_.CountOperator();
    RETURN_IF_ERROR(parser_.Expect("("));
    ConditionNode leaf;
    do {
      RETURN_IF_ERROR(ParseOperandInto(&leaf));
    } while (parser_.Accept(","));
    RETURN_IF_ERROR(parser_.Expect(")"));
    term->function = name;
    if (name == kSize) {
      term->is_operand = true;
      if (!CheckOperandCount(name, 1, leaf.operands.size())) return absl::OkStatus();
      CheckSizeOperand(leaf.operands[0], &parser_);
      term->operand = std::move(leaf.operands[0]);
      term->operand.is_size = true;
      return absl::OkStatus();
    }
    for (const Function& function : kFunctions) {
      if (function.name != name) continue;
      leaf.op = function.op;
      if (CheckOperandCount(name, function.operands, leaf.operands.size())) {
        CheckLeaf(leaf, &parser_);
      }
      parser_.FinishLeaf();
      term->condition = std::move(leaf);
      return absl::OkStatus();
    }
    parser_.NoteUnknownFunction(name);
    term->condition = std::move(leaf);
    return absl::OkStatus();
  }

  bool CheckOperandCount(absl::string_view name, size_t wanted, size_t count) {
    if (count == wanted) return true;
    parser_.Note(ErrorSlot::kOperand,
                 absl::StrCat("Incorrect number of operands for operator or function; operator or "
                              "function: ",
                              name, ", number of operands: ", count));
    return false;
  }

  absl::Status RequireCondition(Term* term) {
    if (!term->is_operand) return absl::OkStatus();
    if (term->function.empty()) return parser_.SyntaxError();
    parser_.NoteMisusedFunction(term->function);
    return absl::OkStatus();
  }

  absl::Status RequireOperand(Term* term) {
    if (term->is_operand) return absl::OkStatus();
    if (term->function.empty()) return parser_.SyntaxError();
    parser_.NoteMisusedFunction(term->function);
    return absl::OkStatus();
  }

  ExpressionParser parser_;
};

// Recursion is bounded by kExpressionLevelsMax.
void AppendPaths(const ConditionNode& node, std::vector<const Path*>* paths) {
  for (const ConditionNode& child : node.conditions) AppendPaths(child, paths);
  for (const Operand& operand : node.operands) {
    if (operand.is_path()) paths->push_back(&operand.path);
  }
}

}  // namespace

absl::StatusOr<Condition> Condition::Parse(absl::string_view text, ExpressionKind kind,
                                           Placeholders* placeholders) {
  ConditionParser parser(text, kind, placeholders);
  ASSIGN_OR_RETURN(ConditionNode root, parser.Parse());
  return Condition(std::move(root));
}

std::vector<const Path*> Condition::Paths() const {
  std::vector<const Path*> paths;
  AppendPaths(root_, &paths);
  return paths;
}

absl::string_view OperatorText(Operator op) {
  for (const Comparator& comparator : kComparators) {
    if (comparator.op == op) return comparator.text;
  }
  for (const Function& function : kFunctions) {
    if (function.op == op) return function.name;
  }
  switch (op) {
    case Operator::kAnd:
      return "AND";
    case Operator::kOr:
      return "OR";
    case Operator::kNot:
      return "NOT";
    case Operator::kBetween:
      return "BETWEEN";
    default:
      return "IN";
  }
}

}  // namespace ringleader::model
