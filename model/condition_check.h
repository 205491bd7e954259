// The checks of one leaf condition that need no item: operand types, bounds, distinct paths.
// Internal to model/.
#ifndef RINGLEADER_MODEL_CONDITION_CHECK_H_
#define RINGLEADER_MODEL_CONDITION_CHECK_H_

#include "model/condition.h"
#include "model/expression_parser.h"

namespace ringleader::model {

// Notes what is wrong with a leaf in kOperand and kFunction.
void CheckLeaf(const ConditionNode& leaf, ExpressionParser* parser);

// size() of this operand.
void CheckSizeOperand(const Operand& operand, ExpressionParser* parser);

}  // namespace ringleader::model

#endif  // RINGLEADER_MODEL_CONDITION_CHECK_H_
