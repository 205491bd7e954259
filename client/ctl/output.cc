#include "client/ctl/output.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "common/check.h"
#include "google/protobuf/util/json_util.h"
#include "model/json.h"

namespace ringleader::ctl {

void Table::Add(std::vector<std::string> cells) {
  CHECK_EQ(cells.size(), columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Text() const {
  std::vector<size_t> widths;
  for (const std::string& column : columns_) widths.push_back(column.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  const auto append = [&](const std::vector<std::string>& cells, bool is_header) {
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string cell = is_header ? absl::AsciiStrToUpper(cells[i]) : cells[i];
      text.append(cell);
      if (i + 1 < cells.size()) text.append(widths[i] - cell.size() + 2, ' ');
    }
    text.push_back('\n');
  };
  append(columns_, true);
  for (const auto& row : rows_) append(row, false);
  return text;
}

std::string Table::Json() const {
  std::string text = "[";
  for (size_t r = 0; r < rows_.size(); ++r) {
    text.append(r == 0 ? "\n {" : ",\n {");
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) text.append(", ");
      model::AppendJsonString(columns_[i], &text);
      text.append(": ");
      model::AppendJsonString(rows_[r][i], &text);
    }
    text.push_back('}');
  }
  text.append(rows_.empty() ? "]\n" : "\n]\n");
  return text;
}

std::string MessageJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  CHECK(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  text.push_back('\n');
  return text;
}

void Print(absl::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace ringleader::ctl
