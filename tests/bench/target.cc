#include "tests/bench/target.h"

#include "client/await.h"

namespace ringleader::bench {

absl::Status Target::Run(const Operation& operation) {
  client::Awaited<absl::Status> awaited;
  Start(operation, awaited.Done());
  return awaited.Wait();
}

}  // namespace ringleader::bench
