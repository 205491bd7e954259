// Protects the promise that a wrong option stops the start and says where it stands.
#include "common/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace ringleader {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() : options_("ring-test", "A test.") {
    options_.Add({.name = "data", .help = "Where it is"}, &data_);
    options_.Add({.name = "lease", .unit = "ms", .help = "How long"}, 10, 5000, &lease_ms_);
    options_.Add({.name = "drift", .help = "How wrong"}, 0.0, 0.5, &drift_);
    options_.Add({.name = "insecure", .help = "Whether"}, &insecure_);
    options_.Add({.name = "peers", .help = "Who"}, &peers_);
    options_.AddChoice({.name = "read-mode", .help = "How"}, {"lease", "quorum"}, &read_mode_);
  }

  absl::Status Parse(std::vector<const char*> words) {
    words.insert(words.begin(), "ring-test");
    return options_.Parse(static_cast<int>(words.size()), words.data());
  }

  std::string ConfigFile(const std::string& text) {
    const std::string path = ::testing::TempDir() + "/options_test.conf";
    std::ofstream(path) << text;
    return path;
  }

  OptionSet options_;
  std::string data_ = "here";
  int64_t lease_ms_ = 1000;
  double drift_ = 0.01;
  bool insecure_ = false;
  std::vector<std::string> peers_;
  std::string read_mode_ = "lease";
};

TEST_F(OptionsTest, AFlagWinsOverTheEnvironmentAndThatOverTheFile) {
  const std::string path = ConfigFile("# comment\nlease-ms = 20\ndata = file # tail\ndrift=0.2\n");
  setenv("RING_LEASE_MS", "30", 1);
  setenv("RING_DATA", "environment", 1);
  EXPECT_EQ(Parse({"--config", path.c_str(), "--lease-ms", "40", "--peers", "a:1, b:2"}),
            absl::OkStatus());
  unsetenv("RING_LEASE_MS");
  unsetenv("RING_DATA");
  EXPECT_EQ(lease_ms_, 40);
  EXPECT_EQ(data_, "environment");
  EXPECT_EQ(drift_, 0.2);
  EXPECT_THAT(peers_, ElementsAre("a:1", "b:2"));
  EXPECT_FALSE(insecure_);
}

TEST_F(OptionsTest, ASwitchNeedsNoValueAndTakesOne) {
  EXPECT_EQ(Parse({"--insecure"}), absl::OkStatus());
  EXPECT_TRUE(insecure_);
  EXPECT_EQ(Parse({"--insecure=false"}), absl::OkStatus());
  EXPECT_FALSE(insecure_);
}

TEST_F(OptionsTest, ValuesOutsideTheBoundsNameTheOptionAndTheBounds) {
  EXPECT_THAT(std::string(Parse({"--lease-ms", "5"}).message()),
              HasSubstr("--lease-ms is '5'; it must be a number from 10 to 5000"));
  EXPECT_THAT(std::string(Parse({"--lease-ms", "ten"}).message()), HasSubstr("'ten'"));
  EXPECT_THAT(std::string(Parse({"--drift", "nan"}).message()), HasSubstr("--drift"));
  EXPECT_THAT(std::string(Parse({"--read-mode", "fast"}).message()),
              HasSubstr("must be one of lease, quorum"));
}

TEST_F(OptionsTest, WhatIsWrongInTheFileIsNamedWithItsLine) {
  const auto error = [&](const std::string& text) {
    return std::string(Parse({"--config", ConfigFile(text).c_str()}).message());
  };
  EXPECT_THAT(error("\nlease-ms = 1\n"), HasSubstr("options_test.conf:2: --lease-ms is '1'"));
  EXPECT_THAT(error("nonsense = 1\n"), HasSubstr(".conf:1: there is no option nonsense"));
  EXPECT_THAT(error("lease-ms\n"), HasSubstr(".conf:1: expected `key = value`"));
  EXPECT_THAT(error("data = a\ndata = b\n"), HasSubstr(".conf:2: data is already set in line 1"));
  EXPECT_THAT(std::string(Parse({"--config", "/nowhere/at/all"}).message()),
              HasSubstr("/nowhere/at/all"));
}

TEST_F(OptionsTest, UnknownFlagsAreRefusedByName) {
  EXPECT_THAT(std::string(Parse({"--leese-ms", "20"}).message()), HasSubstr("--leese-ms"));
}

TEST_F(OptionsTest, HelpShowsUnitDefaultBoundsAndEnvironment) {
  const absl::Status help = Parse({"--help"});
  EXPECT_TRUE(absl::IsCancelled(help));
  const std::string text(help.message());
  EXPECT_THAT(text, HasSubstr("--lease-ms MS"));
  EXPECT_THAT(text, HasSubstr("(10 to 5000)"));
  EXPECT_THAT(text, HasSubstr("Default: 1000"));
  EXPECT_THAT(text, HasSubstr("RING_LEASE_MS"));
}

}  // namespace
}  // namespace ringleader
