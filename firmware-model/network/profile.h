// SPDX-License-Identifier: Apache-2.0
// Table [network] of a profile: how chips of its kind are wired with each other, and what a message costs. Chips of which nobody has told it have no such table. Only predictions
// use it (npu-perf collective); ports of the model are told by the profile itself.
//
// The table is one integer for each row of NPU_NETWORK_FIELDS, and [network.source] with a line for each, as the rest of the profile. All links are directed: so much in each direction.
#ifndef NPU_MODEL_NETWORK_PROFILE_H_
#define NPU_MODEL_NETWORK_PROFILE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace npu::model {

// NPU_NETWORK_FIELD(member and key, least, most)
//
//  node_chips                chips that are wired directly with each other
//  neighbour_links           from a chip to each other one of its node
//  up_links                  from a chip into the switched fabric
//  link_mbytes_per_s         of one link
//  leaf_chips                chips that hang on the same switches of the first tier; 0: the fabric never blocks
//  oversubscription_percent  what the up-links of a leaf's chips carry, of what the leaf has to the spine
//  hop_ns                    per link that a message passes
//  message_ns                of each message besides: command, start, signal of its arrival
//  gap_ns                    between the starts of two messages of one chip
//  reduce_mbytes_per_s       operands that a chip adds up or copies; 0: they take no time
#define NPU_NETWORK_FIELDS(NPU_NETWORK_FIELD)             \
  NPU_NETWORK_FIELD(node_chips, 1, 64)                    \
  NPU_NETWORK_FIELD(neighbour_links, 0, 1024)             \
  NPU_NETWORK_FIELD(up_links, 0, 1024)                    \
  NPU_NETWORK_FIELD(link_mbytes_per_s, 1, 100000000)      \
  NPU_NETWORK_FIELD(leaf_chips, 0, 65536)                 \
  NPU_NETWORK_FIELD(oversubscription_percent, 100, 10000) \
  NPU_NETWORK_FIELD(hop_ns, 0, 1000000000)                \
  NPU_NETWORK_FIELD(message_ns, 0, 1000000000)            \
  NPU_NETWORK_FIELD(gap_ns, 0, 1000000000)                \
  NPU_NETWORK_FIELD(reduce_mbytes_per_s, 0, 1000000000)

struct NetworkProfile {
#define NPU_NETWORK_MEMBER(key, least, most) uint64_t key = least;
  NPU_NETWORK_FIELDS(NPU_NETWORK_MEMBER)
#undef NPU_NETWORK_MEMBER
  std::map<std::string, std::string> sources;  // by key

  // Why this is no wiring, though each number is allowed; empty: it is one.
  std::string refuse() const;
};

struct NetworkField {
  const char* key;
  uint64_t NetworkProfile::*member;
  uint64_t least;
  uint64_t most;
};
std::span<const NetworkField> network_fields();
const NetworkField* find_network_field(std::string_view key);

// Reads the table of a whole profile; nothing where there is none. False: |problem| names the key and what is allowed.
bool read_network(std::string_view profile, std::optional<NetworkProfile>* out,
                  std::string* problem);

// Names of the profiles in a folder, "a, b, c"; for messages.
std::string list_profiles(const std::string& directory);

}  // namespace npu::model

#endif  // NPU_MODEL_NETWORK_PROFILE_H_
