// SPDX-License-Identifier: Apache-2.0
// One line, one command; every line has its answer, a wrong one as well.
#include "tools/npu-dbg/debugger.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sstream>

#include "tools/npu-dbg/show.h"

namespace npu::dbg {
namespace {

constexpr uint32_t kShown = 8;       // rows and columns of a tile
constexpr uint32_t kListAround = 4;  // instructions before and behind

bool parse(const std::string& word, uint64_t most, uint64_t* out) {
  const char* const end = word.data() + word.size();
  const auto [stop, problem] = std::from_chars(word.data(), end, *out);
  return problem == std::errc() && stop == end && *out <= most;
}

void say(const std::string& text) { std::fputs(text.c_str(), stdout); }

}  // namespace

const char* help_text() {
  return "break PLACE      stop before an instruction: LINE, FILE:LINE or @INSTRUCTION\n"
         "delete PLACE     take it back; without a place: all\n"
         "step [N]         execute N instructions of the control streams, 1 when left out\n"
         "continue         run to the next stop or the end\n"
         "where            the next instruction\n"
         "list             the instructions around it\n"
         "regs             scalar registers\n"
         "sems             semaphores\n"
         "queues           operations that wait in the engines' queues\n"
         "descs            tile descriptors\n"
         "print tN [MOST]  the elements of the tile that descriptor N names\n"
         "tile [N]         look at another tile of the work-group\n"
         "quit             end\n"
         "Commands may be cut short: b, d, s, c, w, l, r, q for quit, p, h.\n";
}

bool Debugger::stops_at(const model::Tile& tile, uint32_t pc) {
  const bool again = stopped_tile_ == &tile && stopped_progress_ == group_->progress;
  if (again) return false;
  if (steps_left_ != 0 && --steps_left_ == 0) return true;
  return breaks_.contains(pc);
}

bool Debugger::before(const model::Group& group, const model::Tile& tile, uint32_t pc) {
  group_ = &group;
  if (!stops_at(tile, pc)) return true;
  stopped_tile_ = &tile;
  stopped_progress_ = group.progress;
  tile_ = &tile;
  steps_left_ = 0;
  show_place();
  return read_commands();
}

void Debugger::show_place() const {
  if (group_->tile_count != 1) say("tile " + std::to_string(tile_->index) + ": ");
  say(instruction(program_, tile_->pc) + "\n");
}

bool Debugger::read_commands() {
  std::string line;
  for (;;) {
    say(prompt_);
    std::fflush(stdout);
    if (!std::getline(in_, line)) return true;  // no more commands: it runs to its end
    std::istringstream stream(line);
    Words words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty() || words[0][0] == '#') continue;
    const After after = command(words);
    if (after == After::kQuit) quit_ = true;
    if (after != After::kStay) return after == After::kGo;
  }
}

Debugger::After Debugger::command(const Words& words) {
  const std::string& verb = words[0];
  if (verb == "c" || verb == "continue") return After::kGo;
  if (verb == "q" || verb == "quit") return After::kQuit;
  if (verb == "s" || verb == "step") return step(words);
  if (verb == "b" || verb == "break") return set_break(words);
  if (verb == "d" || verb == "delete") return remove_break(words);
  if (verb == "tile") return select_tile(words);
  return look(words);
}

Debugger::After Debugger::look(const Words& words) {
  const std::string& verb = words[0];
  if (verb == "w" || verb == "where") {
    show_place();
  } else if (verb == "l" || verb == "list") {
    return list(words);
  } else if (verb == "r" || verb == "regs") {
    say(registers(*tile_));
  } else if (verb == "sems") {
    say(semaphores(*tile_));
  } else if (verb == "queues") {
    say(queues(program_, *group_, *tile_));
  } else if (verb == "descs") {
    say(descriptors(*tile_));
  } else if (verb == "p" || verb == "print") {
    return print(words);
  } else if (verb == "h" || verb == "help") {
    say(help_text());
  } else {
    say("'" + verb + "' is no command; `help` lists them\n");
  }
  return After::kStay;
}

Debugger::After Debugger::step(const Words& words) {
  uint64_t count = 1;
  if (words.size() > 2 ||
      (words.size() == 2 && (!parse(words[1], UINT32_MAX, &count) || count == 0))) {
    say("step takes how many, 1 to 4294967295\n");
    return After::kStay;
  }
  steps_left_ = count;
  return After::kGo;
}

// Instructions that |word| names: of a line the first of each run of them.
std::vector<uint32_t> Debugger::places_of(const std::string& word) const {
  std::vector<uint32_t> places;
  uint64_t number = 0;
  if (word.starts_with('@')) {
    if (parse(word.substr(1), program_.insns.size() - 1, &number))
      places.push_back(static_cast<uint32_t>(number));
    return places;
  }
  const auto names = [&](uint32_t pc) {
    const std::string source = source_of(program_, program_.insns[pc].line);
    return source == word || source.ends_with(":" + word) || source.ends_with("/" + word);
  };
  for (uint32_t pc = 0; pc < program_.insns.size(); ++pc) {
    if (names(pc) && (pc == 0 || !names(pc - 1))) places.push_back(pc);
  }
  return places;
}

Debugger::After Debugger::set_break(const Words& words) {
  const std::vector<uint32_t> places =
      words.size() == 2 ? places_of(words[1]) : std::vector<uint32_t>{};
  if (places.empty())
    say("break takes a LINE or FILE:LINE that has instructions, or @INSTRUCTION\n");
  for (const uint32_t pc : places) {
    breaks_.insert(pc);
    say("stops before " + instruction(program_, pc) + "\n");
  }
  return After::kStay;
}

Debugger::After Debugger::remove_break(const Words& words) {
  if (words.size() == 1) {
    breaks_.clear();
    say("no stops are left\n");
    return After::kStay;
  }
  size_t removed = 0;
  for (const uint32_t pc : places_of(words[1])) removed += breaks_.erase(pc);
  say(std::to_string(removed) + " stops are gone\n");
  return After::kStay;
}

Debugger::After Debugger::list(const Words&) const {
  const uint32_t first = tile_->pc - std::min(tile_->pc, kListAround);
  const auto size = static_cast<uint32_t>(program_.insns.size());
  for (uint32_t pc = first; pc < std::min(size, tile_->pc + kListAround + 1); ++pc) {
    say((pc == tile_->pc ? "->" : "  ") + instruction(program_, pc) + "\n");
  }
  return After::kStay;
}

Debugger::After Debugger::select_tile(const Words& words) {
  uint64_t number = tile_->index;
  if (words.size() > 2 ||
      (words.size() == 2 && !parse(words[1], group_->tile_count - 1, &number))) {
    say("tile takes a number below " + std::to_string(group_->tile_count) + "\n");
    return After::kStay;
  }
  tile_ = &group_->tiles[number];
  show_place();
  return After::kStay;
}

Debugger::After Debugger::print(const Words& words) const {
  uint64_t number = 0;
  uint64_t most = kShown;
  const bool good = (words.size() == 2 || words.size() == 3) && words[1].starts_with('t') &&
                    parse(words[1].substr(1), NPU_TILE_DESCS - 1, &number) &&
                    (words.size() == 2 || parse(words[2], 4096, &most));
  if (!good) {
    say("print takes t0 to t63, and how many rows and columns at most (4096)\n");
    return After::kStay;
  }
  say(contents(*group_, *tile_, static_cast<uint32_t>(number), static_cast<uint32_t>(most)));
  return After::kStay;
}

}  // namespace npu::dbg
