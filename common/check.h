// CHECK: for what must never happen. On in release builds: a replica that goes on after a broken
// invariant can corrupt data that its peers still hold intact, so it stops instead.
//
//   CHECK(index > 0);
//   CHECK_EQ(entry.term, term) << "group " << group;
//
// For what may happen (a bad request, a full disk) return an absl::Status.
//
// Thread-safe. The failure message goes to standard error, then the process aborts.
#ifndef RINGLEADER_COMMON_CHECK_H_
#define RINGLEADER_COMMON_CHECK_H_

#include <sstream>

namespace ringleader::check_internal {

// Collects the message of one failed check; its destructor prints it and aborts.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition);
  [[noreturn]] ~Failure();
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

// Binds looser than << and tighter than ?:, so that a CHECK is one void expression.
struct Voidify {
  void operator&(std::ostream&) {}
};

}  // namespace ringleader::check_internal

#define CHECK(condition)                              \
  (__builtin_expect(static_cast<bool>(condition), 1)) \
      ? (void)0                                       \
      : ::ringleader::check_internal::Voidify() &     \
            ::ringleader::check_internal::Failure(__FILE__, __LINE__, #condition).stream()

#define RINGLEADER_CHECK_OP(a, op, b) CHECK((a)op(b)) << "(" << (a) << " vs " << (b) << ") "
#define CHECK_EQ(a, b) RINGLEADER_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) RINGLEADER_CHECK_OP(a, !=, b)
#define CHECK_LT(a, b) RINGLEADER_CHECK_OP(a, <, b)
#define CHECK_LE(a, b) RINGLEADER_CHECK_OP(a, <=, b)
#define CHECK_GT(a, b) RINGLEADER_CHECK_OP(a, >, b)
#define CHECK_GE(a, b) RINGLEADER_CHECK_OP(a, >=, b)

// For a status that cannot be an error here; prints it if it is one.
#define CHECK_OK(expression)                                                            \
  do {                                                                                  \
    const auto& check_ok_status = (expression);                                         \
    CHECK(check_ok_status.ok()) << ::ringleader::check_internal::Text(check_ok_status); \
  } while (false)

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringleader::check_internal {
inline std::string Text(const absl::Status& status) { return status.ToString(); }
template <typename T>
std::string Text(const absl::StatusOr<T>& result) {
  return result.status().ToString();
}
}  // namespace ringleader::check_internal

#endif  // RINGLEADER_COMMON_CHECK_H_
