// SPDX-License-Identifier: Apache-2.0
// GuestCredit: whether a device may leave its short work to the thread of another one, judged by what it had to do lately.
//
// Thread safety: one owner.
#ifndef NPU_MODEL_DEVICE_GUEST_CREDIT_H_
#define NPU_MODEL_DEVICE_GUEST_CREDIT_H_

#include <cstdint>

namespace npu::model {

class GuestCredit {
 public:
  // A turn of more work, as Queue::turn_work, is long for a thread that others rely on: some 10 us.
  static constexpr uint64_t kShortTurn = 1024;
  // After one a device does so many turns by itself.
  static constexpr unsigned kOwnTurns = 64;

  bool is_good() const { return own_turns_ == 0; }

  // The device's own thread has done a turn.
  void ran(uint64_t work) {
    if (work > kShortTurn) {
      own_turns_ = kOwnTurns;
    } else if (own_turns_ != 0) {
      --own_turns_;
    }
  }

  // A visit of another device's thread is over, whose last turn was of |work|; it was to the end of what was ready and short, or left something. False: the device is no guest any more.
  bool visited(uint64_t work, bool to_the_end) {
    if (work > kShortTurn) {
      hold_up();
      return false;
    }
    if (!to_the_end && ++overruns_ > kOverrunsMost) {
      end_for(kOwnTurns);
      return false;
    }
    if (to_the_end) overruns_ = 0;
    if (++good_visits_ == kGoodVisits) {
      if (strikes_ != 0) --strikes_;
      good_visits_ = 0;
    }
    return true;
  }

  // It has something to do that is long.
  void end() { end_for(kOwnTurns); }

  // What seemed short took long, or the other thread has not come by. Who makes that so on purpose, again and again, holds up other devices less and less often.
  void hold_up() {
    if (strikes_ < kStrikesMost) ++strikes_;
    good_visits_ = 0;
    end_for(kOwnTurns << strikes_);
  }

 private:
  void end_for(unsigned turns) {
    own_turns_ = turns;
    overruns_ = 0;
  }

  static constexpr unsigned kOverrunsMost = 4;  // in a row
  // Each strike doubles the turns; so many good visits make up for one.
  static constexpr unsigned kStrikesMost = 10;
  static constexpr unsigned kGoodVisits = 4096;

  unsigned own_turns_ = 0;  // so many more
  unsigned overruns_ = 0;
  unsigned strikes_ = 0;
  unsigned good_visits_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_GUEST_CREDIT_H_
