// Tables for people, JSON for programs, from the same rows. Pure.
#ifndef RINGLEADER_CLIENT_CTL_OUTPUT_H_
#define RINGLEADER_CLIENT_CTL_OUTPUT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace ringleader::ctl {

// Columns as wide as their widest cell, two spaces apart, a header line in capitals.
class Table {
 public:
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  // As many cells as columns.
  void Add(std::vector<std::string> cells);
  std::string Text() const;
  // An array of objects; every value is a string.
  std::string Json() const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// A message in Protocol Buffers' JSON form, on one line.
std::string MessageJson(const google::protobuf::Message& message);

void Print(absl::string_view text);

}  // namespace ringleader::ctl

#endif  // RINGLEADER_CLIENT_CTL_OUTPUT_H_
