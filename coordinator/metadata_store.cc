#include "coordinator/metadata_store.h"

#include <utility>

#include "common/check.h"

namespace ringleader::coordinator {

using replication::Entry;
using replication::EntryKind;
using replication::Index;
using replication::LogPosition;
using replication::Replica;
using replication::Term;

namespace {

CommandOutcome UnknownOutcome() {
  return {.error = v1::ERROR_UNAVAILABLE,
          .message = "leadership ended; outcome unknown",
          .may_have_happened = true};
}

}  // namespace

std::shared_ptr<Replica> MetadataStore::replica() const {
  return runtime_ == nullptr ? nullptr : runtime_->Find(kMetadataGroup);
}

uint64_t MetadataStore::leader() const {
  const auto open = replica();
  return open == nullptr ? 0 : open->view().leader.node;
}

bool MetadataStore::follows() const {
  if (leads()) return true;
  const auto open = replica();
  if (open == nullptr || runtime_->log_progress().out_of_space) return false;
  const replication::ReplicaView view = open->view();
  return view.failure.ok() && view.leader.node != 0;
}

// --- Proposals and reads ------------------------------------------------------------------------

void MetadataStore::Propose(v1::Command command, Proposed done) {
  const auto open = replica();
  if (term_ == 0 || open == nullptr) return done({v1::ERROR_NOT_LEADER, "not the metadata leader"});
  if (proposing_ + waiting_.size() >= kWaitingMax) {
    return done({v1::ERROR_UNAVAILABLE, "too many changes of the metadata wait"});
  }
  ++proposing_;
  std::vector<replication::Payload> payloads;
  payloads.push_back(std::make_shared<const std::string>(EncodeCommand(std::move(command))));
  open->Propose(
      term_, std::move(payloads),
      [this, term = term_, done = std::move(done)](absl::StatusOr<LogPosition> position) {
        control_.Post([this, term, done, position] {
          --proposing_;
          if (!position.ok()) {
            return done({v1::ERROR_UNAVAILABLE, std::string(position.status().message())});
          }
          if (term_ != term) {
            return done(UnknownOutcome());
          }
          waiting_[position->index] = {position->term, done};
        });
      });
}

void MetadataStore::ReadBarrier(Read done) {
  const auto open = replica();
  if (term_ == 0 || open == nullptr) {
    return done(absl::FailedPreconditionError("not the metadata leader"));
  }
  const auto finish = [this, done = std::move(done)](const absl::Status& status) {
    control_.Post([done, status] { done(status); });
  };
  const absl::StatusOr<Index> index = open->LeaseRead();
  if (index.ok()) return open->WhenApplied(*index, finish);
  open->QuorumRead([open, finish](absl::StatusOr<Index> confirmed) {
    if (!confirmed.ok()) return finish(confirmed.status());
    open->WhenApplied(*confirmed, finish);
  });
}

// --- Following the state machine ----------------------------------------------------------------

void MetadataStore::OnOpened(std::shared_ptr<const Metadata> metadata) {
  control_.Post([this, metadata = std::move(metadata)] {
    metadata_ = *metadata;
    DropWaiting();
  });
}

void MetadataStore::OnApplied(std::vector<Entry> entries) {
  control_.Post([this, entries = std::move(entries)] {
    for (const Entry& entry : entries) Follow(entry);
  });
}

void MetadataStore::Follow(const Entry& entry) {
  CommandOutcome outcome;
  if (entry.kind == EntryKind::kCommand) {
    const auto applied = metadata_.Apply(absl::string_view(*entry.payload));
    CHECK_OK(applied);  // the state machine has applied the same bytes
    outcome = *applied;
  }
  const auto found = waiting_.find(entry.index);
  if (found == waiting_.end()) return;
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  if (waiting.term != entry.term) {
    outcome = {v1::ERROR_UNAVAILABLE, "leadership ended before the change was committed"};
  }
  waiting.done(outcome);
}

void MetadataStore::OnLeadershipBegan(Term term) {
  control_.Post([this, term] {
    term_ = term;
    if (on_leadership_) on_leadership_(true);
  });
}

void MetadataStore::OnLeadershipEnded(Term term) {
  control_.Post([this, term] {
    if (term_ != term) return;
    term_ = 0;
    DropWaiting();
    if (on_leadership_) on_leadership_(false);
  });
}

void MetadataStore::DropWaiting() {
  auto dropped = std::exchange(waiting_, {});
  for (auto& [index, waiting] : dropped) {
    waiting.done(UnknownOutcome());
  }
}

}  // namespace ringleader::coordinator
