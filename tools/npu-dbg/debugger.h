// SPDX-License-Identifier: Apache-2.0
// The commands of npu-dbg, and where a work-group stops for them.
#pragma once

#include <functional>
#include <istream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "firmware-model/tile/group.h"
#include "firmware-model/tile/tile.h"
#include "tools/isa/program.h"

namespace npu::dbg {

// The list of commands, for `help` and the man page's sake in one place.
const char* help_text();

class Debugger final : public model::Watcher {
 public:
  // Reads commands from |in|, with |prompt| in front when it is not empty.
  Debugger(const isa::Program& program, std::istream& in, std::string prompt)
      : program_(program), in_(in), prompt_(std::move(prompt)) {}

  bool before(const model::Group& group, const model::Tile& tile, uint32_t pc) override;
  // A command has ended it.
  bool was_quit() const { return quit_; }

 private:
  enum class After { kStay, kGo, kQuit };
  using Words = std::vector<std::string>;

  bool stops_at(const model::Tile& tile, uint32_t pc);
  bool read_commands();
  After command(const Words& words);
  After look(const Words& words);
  After step(const Words& words);
  After set_break(const Words& words);
  After remove_break(const Words& words);
  After list(const Words& words) const;
  After select_tile(const Words& words);
  After print(const Words& words) const;
  std::vector<uint32_t> places_of(const std::string& word) const;
  void show_place() const;

  const isa::Program& program_;
  std::istream& in_;
  const std::string prompt_;
  std::set<uint32_t> breaks_;  // instructions
  uint64_t steps_left_ = 1;    // 0: runs to a breakpoint
  bool quit_ = false;
  // While a command is read:
  const model::Group* group_ = nullptr;
  const model::Tile* tile_ = nullptr;  // that the commands look at
  // Where it has just stopped: an instruction that waits comes again and is no new place.
  std::optional<uint64_t> stopped_progress_;
  const model::Tile* stopped_tile_ = nullptr;
};

}  // namespace npu::dbg
