// The bytes of messages and configurations. The golden bytes may never change: nodes of different
// releases and logs on disk depend on them.
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/random.h"
#include "replication/configuration.h"
#include "replication/message_codec.h"
#include "replication/wire.h"

namespace ringleader::replication {
namespace {

std::string Hex(const Message& message) {
  std::string bytes;
  EncodeMessage(message, &bytes);
  EXPECT_LE(bytes.size(), EncodedSizeMax(message));
  return absl::BytesToHexString(bytes);
}

Configuration SomeConfiguration() {
  return {{{1, 11}, {4, 300}}, {{1, 11}, {2, 12}}, {{9, 19}}, 5};
}

// One message of each kind with every field that the kind carries.
std::vector<Message> OneOfEach() {
  std::vector<Message> messages;
  for (int kind = 1; kind <= static_cast<int>(kLastMessageKind); ++kind) {
    Message message;
    message.kind = static_cast<MessageKind>(kind);
    message.group = 300;
    message.from = 1;
    message.to = 2;
    message.term = 5;
    messages.push_back(message);
  }
  const auto at = [&](MessageKind kind) -> Message& {
    return messages[static_cast<int>(kind) - 1];
  };
  at(MessageKind::kPreVote).position = {4, 9};
  at(MessageKind::kPreVoteAnswer).rejected = true;
  at(MessageKind::kVote).position = {4, 9};
  at(MessageKind::kVote).transfer = true;
  Message& append = at(MessageKind::kAppend);
  append.position = {3, 200};
  append.commit = 199;
  append.entries = {{3, 201, EntryKind::kCommand, std::make_shared<const std::string>("hi")},
                    {5, 202, EntryKind::kEmpty, nullptr}};
  Message& answer = at(MessageKind::kAppendAnswer);
  answer.rejected = answer.lost = true;
  answer.index = 200;
  answer.position = {2, 150};
  at(MessageKind::kHeartbeat).round = 7;
  at(MessageKind::kHeartbeat).commit = 199;
  at(MessageKind::kHeartbeatAnswer).round = 7;
  at(MessageKind::kSnapshot).snapshot.last = {4, 180};
  at(MessageKind::kSnapshot).snapshot.configuration = SomeConfiguration();
  Message& query = at(MessageKind::kDoubtQuery);
  query.position = {4, 9};
  query.promise = {4, 12};
  query.preliminary = true;
  Message& doubt = at(MessageKind::kDoubtAnswer);
  doubt.position = {4, 8};
  doubt.promise = {4, 10};
  doubt.doubtful = true;
  doubt.round = 3;
  return messages;
}

// Protects nodes of different releases from misunderstanding each other.
TEST(MessageCodec, GoldenBytes) {
  const char* const kGolden[] = {
      "010100ac0201020504 09",
      "010201ac02010205",
      "010302ac0201020504 09",
      "010400ac02010205",
      "010500ac02010205 03c801 c701 02 0001026869 020000",
      "010605ac02010205 c801 029601",
      "010700ac02010205 07 c701",
      "010800ac02010205 07",
      "010900ac02010205 04b401 15 0105 02010b0004ac0200 02010b00020c00 01091300",
      "010a00ac02010205",
      "010b08ac02010205 0409 040c",
      "010c10ac02010205 0408 040a 03",
  };
  const std::vector<Message> messages = OneOfEach();
  ASSERT_EQ(messages.size(), std::size(kGolden));
  for (size_t i = 0; i < messages.size(); ++i) {
    std::string golden = kGolden[i];
    std::erase(golden, ' ');
    EXPECT_EQ(Hex(messages[i]), golden) << "kind " << i + 1;
  }
}

// Protects every field of every kind: what is decoded has the same bytes again, and the fields.
TEST(MessageCodec, RoundTrip) {
  for (const Message& message : OneOfEach()) {
    std::string bytes;
    EncodeMessage(message, &bytes);
    const auto decoded = DecodeMessage(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(Hex(*decoded), Hex(message));
    EXPECT_EQ(decoded->kind, message.kind);
    EXPECT_EQ(decoded->lost, message.lost);
    EXPECT_EQ(decoded->snapshot, message.snapshot);
    ASSERT_EQ(decoded->entries.size(), message.entries.size());
    for (size_t i = 0; i < message.entries.size(); ++i) {
      EXPECT_EQ(decoded->entries[i].index, message.entries[i].index);
      EXPECT_EQ(decoded->entries[i].term, message.entries[i].term);
      EXPECT_EQ(decoded->entries[i].payload_bytes(), message.entries[i].payload_bytes());
    }
  }
}

// Protects the decoder from frames that are cut, extended or altered: an error, never a crash, and
// what it accepts has exactly one encoding.
TEST(MessageCodec, RefusesDamage) {
  Random random(1);
  for (const Message& message : OneOfEach()) {
    std::string bytes;
    EncodeMessage(message, &bytes);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeMessage(absl::string_view(bytes).substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(DecodeMessage(bytes + "x").ok());
    for (int i = 0; i < 2000; ++i) {
      std::string altered = bytes;
      altered[random.Below(altered.size())] = static_cast<char>(random.Next());
      const auto decoded = DecodeMessage(altered);
      if (!decoded.ok()) continue;
      std::string again;
      EncodeMessage(*decoded, &again);
      EXPECT_EQ(again, altered);
    }
  }
}

// Protects the reserved witness flag, unknown flags, kinds and versions.
TEST(MessageCodec, RefusesTheUnknown) {
  std::string bytes;
  EncodeMessage(OneOfEach()[9], &bytes);
  ASSERT_TRUE(DecodeMessage(bytes).ok());
  for (const auto& [at, value] : {std::pair{0, 2}, {0, 0}, {1, 0}, {1, 13}, {2, 32}, {2, 64}}) {
    std::string altered = bytes;
    altered[static_cast<size_t>(at)] = static_cast<char>(value);
    EXPECT_FALSE(DecodeMessage(altered).ok()) << at << " " << value;
  }
}

// Protects configurations in logs and snapshots.
TEST(ConfigurationCodec, GoldenBytesAndRoundTrip) {
  const std::string bytes = EncodeConfiguration(SomeConfiguration());
  EXPECT_EQ(absl::BytesToHexString(bytes), "010502010b0004ac020002010b00020c0001091300");
  const auto decoded = DecodeConfiguration(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, SomeConfiguration());
}

// Protects against configurations that would decide wrongly: a voter counted twice, none at all, a
// replica on two nodes.
TEST(ConfigurationCodec, RefusesWhatCannotBe) {
  const std::vector<Configuration> wrong = {
      {{}, {}, {}, 1},
      {{{1, 11}, {1, 11}}, {}, {}, 1},
      {{{2, 12}, {1, 11}}, {}, {}, 1},
      {{{1, 11}}, {}, {{1, 11}}, 1},
      {{{1, 11}}, {{1, 12}}, {}, 1},
      {{{0, 11}}, {}, {}, 1},
      {{{1, 0}}, {}, {}, 1},
  };
  for (const Configuration& configuration : wrong) {
    EXPECT_FALSE(DecodeConfiguration(EncodeConfiguration(configuration)).ok());
  }
  EXPECT_FALSE(DecodeConfiguration("").ok());
  EXPECT_FALSE(DecodeConfiguration(EncodeConfiguration(SomeConfiguration()) + "x").ok());
}

// Protects memory: a forged count or length never allocates.
TEST(Wire, CountsAndLengthsAreBoundedByTheInput) {
  std::string bytes;
  WireWriter(&bytes).Varint(UINT64_MAX);
  EXPECT_EQ(bytes.size(), kVarintBytesMax);
  WireReader count(bytes);
  EXPECT_EQ(count.Count(1), 0u);
  EXPECT_FALSE(count.ok());
  WireReader length(bytes);
  EXPECT_TRUE(length.Bytes().empty());
  EXPECT_FALSE(length.ok());
  WireReader overlong(absl::string_view("\x80\x00", 2));
  overlong.Varint();
  EXPECT_FALSE(overlong.ok());
  WireReader value(bytes);
  EXPECT_EQ(value.Varint(), UINT64_MAX);
  EXPECT_TRUE(value.AtEnd());
}

}  // namespace
}  // namespace ringleader::replication
