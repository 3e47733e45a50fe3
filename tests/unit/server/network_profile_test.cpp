// SPDX-License-Identifier: Apache-2.0
// Table [network] of a profile: what is read, and what is refused with which words.
#include "firmware-model/network/profile.h"

#include <gtest/gtest.h>

namespace npu::model {
namespace {

std::string table() {
  std::string text = "[network]\n";
  for (const NetworkField& field : network_fields()) {
    text += std::string(field.key) + " = " + std::to_string(field.least) + "\n";
  }
  text += "[network.source]\n";
  for (const NetworkField& field : network_fields()) text += std::string(field.key) + " = \"x\"\n";
  return text;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  std::optional<NetworkProfile> network;
  std::string problem;
  EXPECT_FALSE(read_network(text, &network, &problem)) << text;
  EXPECT_FALSE(network.has_value());
  return problem;
}

TEST(NetworkProfile, ReadsEachNumberWithItsSource) {
  std::optional<NetworkProfile> network;
  std::string problem;
  ASSERT_TRUE(read_network(replaced(table(), "up_links = 0", "up_links = 7"), &network, &problem))
      << problem;
  ASSERT_TRUE(network.has_value());
  EXPECT_EQ(network->up_links, 7u);
  EXPECT_EQ(network->sources.size(), network_fields().size());
}

TEST(NetworkProfile, IsNothingWhereThereIsNoTable) {
  std::optional<NetworkProfile> network;
  std::string problem;
  EXPECT_TRUE(read_network("name = \"x\"\n", &network, &problem));
  EXPECT_FALSE(network.has_value());
}

TEST(NetworkProfile, ErrorsNameTheKeyAndWhatIsAllowed) {
  EXPECT_EQ(error_of(replaced(table(), "up_links = 0\n", "")),
            "key 'network.up_links' is missing; allowed: 0 to 1024");
  EXPECT_EQ(error_of(replaced(table(), "up_links = 0\n", "up_links = -1\n")),
            "key 'network.up_links' is -1; allowed: 0 to 1024");
  EXPECT_EQ(error_of(replaced(table(), "up_links = 0\n", "up_links = 1025\n")),
            "key 'network.up_links' is 1025; allowed: 0 to 1024");
  EXPECT_EQ(error_of(replaced(table(), "up_links = 0\n", "up_links = 1.0\n")),
            "key 'network.up_links' must be an integer; allowed: 0 to 1024");
  EXPECT_EQ(error_of(replaced(table(), "up_links = 0\n", "up_links = 0\nrails = 1\n")),
            "key 'network.rails' is unknown");
  EXPECT_NE(error_of(replaced(table(), "[network.source]\nnode_chips = \"x\"",
                              "[network.source]\nnode_chips = \"\""))
                .find("network.source.node_chips"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(table(), "[network.source]\nnode_chips = \"x\"", "[network.source]"))
                .find("network.source.node_chips"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(table(), "[network.source]", "[source]")).find("[network.source]"),
            std::string::npos);
  EXPECT_EQ(error_of("network = 1\n"), "'network' must be a table");
  EXPECT_NE(error_of("[network\n").find("line 1"), std::string::npos);
}

TEST(NetworkProfile, NumbersMustFitEachOther) {
  EXPECT_EQ(error_of(replaced(replaced(table(), "node_chips = 1", "node_chips = 4"),
                              "leaf_chips = 0", "leaf_chips = 6")),
            "leaf_chips must be a multiple of node_chips");
}

}  // namespace
}  // namespace npu::model
