#include "client/scan.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace ringleader::client {
namespace {

// Lives as long as a step of it is under way: each step's callback owns it.
class ScanRun : public std::enable_shared_from_this<ScanRun> {
 public:
  ScanRun(Router& router, data::v1::Request request, ResponseCallback done)
      : router_(router), request_(std::move(request)), done_(std::move(done)) {}

  void Start() {
    const data::v1::Scan& scan = request_.scan();
    const uint32_t segments = std::max<uint32_t>(scan.segments(), 1);
    if (scan.segment() >= segments) {
      return Fail(data::v1::ERROR_VALIDATION,
                  "The Segment parameter is zero-based and must be less than parameter "
                  "TotalSegments");
    }
    const uint32_t timeout_ms = request_.timeout_ms();
    const RouterOptions& options = router_.options();
    deadline_ =
        router_.Now() + (timeout_ms == 0 ? options.timeout
                                         : std::min<Duration>(std::chrono::milliseconds(timeout_ms),
                                                              options.timeout_max));
    next_ = SegmentStart(scan.segment(), segments);
    if (scan.segment() + 1 < segments) last_ = SegmentStart(scan.segment() + 1, segments) - 1;
    limit_left_ = scan.limit();
    Step();
  }

 private:
  void Step() {
    const Duration left = deadline_ - router_.Now();
    if (left <= Duration(0)) return Fail(data::v1::ERROR_DEADLINE, "The scan's time is over");
    request_.set_timeout_ms(
        static_cast<uint32_t>(std::max<int64_t>(left / std::chrono::milliseconds(1), 1)));
    request_.mutable_scan()->set_limit(limit_left_);
    step_ = std::make_shared<ScanStep>(ScanStep{.from = next_, .last = last_});
    router_.ExecuteStep(request_, step_, [self = shared_from_this()](data::v1::Response answer) {
      self->Answered(std::move(answer));
    });
  }

  void Answered(data::v1::Response answer) {
    if (answer.error() != data::v1::ERROR_NONE) {
      answer.set_id(request_.id());
      return done_(std::move(answer));
    }
    data::v1::Page& page = *answer.mutable_page();
    data::v1::Page& total = *result_.mutable_page();
    uint64_t returned_bytes = 0;
    for (std::string& item : *page.mutable_items()) {
      returned_bytes += item.size();
      total.add_items(std::move(item));
    }
    // A node of an older version doesn't tell what it has scanned.
    const uint64_t bytes = page.scanned_bytes() > 0 ? page.scanned_bytes() : returned_bytes;
    total.set_scanned_bytes(total.scanned_bytes() + bytes);
    total.set_count(total.count() + page.count());
    total.set_scanned_count(total.scanned_count() + page.scanned_count());
    const bool is_limit_reached = limit_left_ > 0 && page.scanned_count() >= limit_left_;
    if (limit_left_ > 0 && !is_limit_reached) {
      limit_left_ -= static_cast<uint32_t>(page.scanned_count());
    }
    if (!page.last_evaluated_key().empty()) {  // the partition has more: the page ends here
      total.set_last_evaluated_key(std::move(*page.mutable_last_evaluated_key()));
      return Succeed();
    }
    request_.mutable_scan()->clear_exclusive_start_key();
    request_.set_table_id(step_->table);  // not the next one of that name
    if (step_->last >= last_) return Succeed();
    next_ = step_->last + 1;
    // A partition's end has no key to go on from, so a page that is full there goes on with one
    // item of the next: the items after it then begin at that item.
    if (is_limit_reached || total.scanned_bytes() >= kScanPageBytes) limit_left_ = 1;
    Step();
  }

  void Succeed() {
    result_.set_id(request_.id());
    done_(std::move(result_));
  }

  void Fail(data::v1::Error error, absl::string_view message) {
    data::v1::Response response;
    response.set_id(request_.id());
    response.set_error(error);
    response.set_message(std::string(message));
    done_(std::move(response));
  }

  Router& router_;
  data::v1::Request request_;  // the next step's, but for what the step says
  ResponseCallback done_;
  data::v1::Response result_;
  std::shared_ptr<ScanStep> step_;
  Duration deadline_{0};
  model::Token next_ = 0;
  model::Token last_ = UINT64_MAX;
  uint32_t limit_left_ = 0;  // 0: none
};

}  // namespace

model::Token SegmentStart(uint32_t segment, uint32_t segments) {
  CHECK_LT(segment, segments);
  // ceil(segment * 2^64 / segments)
  const auto product = static_cast<unsigned __int128>(segment) << 64;
  return static_cast<model::Token>((product + segments - 1) / segments);
}

void StartScan(Router& router, data::v1::Request request, ResponseCallback done) {
  std::make_shared<ScanRun>(router, std::move(request), std::move(done))->Start();
}

}  // namespace ringleader::client
