// SPDX-License-Identifier: Apache-2.0
// What a connection and its user hold of each resource, and how much they may hold.
//
// Thread safety: none, the I/O thread owns all accounts.
#ifndef NPU_MODEL_SERVER_ACCOUNT_H_
#define NPU_MODEL_SERVER_ACCOUNT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

namespace npu::model::server {

enum class Resource { kHbmBytes, kSystemBytes, kObjects, kVms, kQueues, kNotifies, kPerf, kCount };

inline constexpr size_t kResourceCount = static_cast<size_t>(Resource::kCount);
using Limits = std::array<uint64_t, kResourceCount>;

class Account {
 public:
  // What is charged here is charged to |parent| too.
  Account(const Limits& limits, std::shared_ptr<Account> parent)
      : limits_(limits), parent_(std::move(parent)) {}

  // False, and nothing changes, when a limit here or above would be passed. |only_here|: what is charged above already, to whoever made it.
  bool charge(Resource resource, uint64_t amount, bool only_here = false) {
    const size_t i = static_cast<size_t>(resource);
    if (amount > limits_[i] || used_[i] > limits_[i] - amount) return false;
    if (!only_here && parent_ != nullptr && !parent_->charge(resource, amount)) return false;
    used_[i] += amount;
    return true;
  }

  void refund(Resource resource, uint64_t amount, bool only_here = false) {
    used_[static_cast<size_t>(resource)] -= amount;
    if (!only_here && parent_ != nullptr) parent_->refund(resource, amount);
  }

  uint64_t used(Resource resource) const { return used_[static_cast<size_t>(resource)]; }
  uint64_t left(Resource resource) const {
    const size_t i = static_cast<size_t>(resource);
    const uint64_t own = limits_[i] - used_[i];
    if (parent_ == nullptr) return own;
    const uint64_t above = parent_->left(resource);
    return own < above ? own : above;
  }

 private:
  Limits limits_;
  Limits used_{};
  std::shared_ptr<Account> parent_;
};

// A charge that is given back with its owner.
class Charge {
 public:
  Charge() = default;
  Charge(Charge&& other) noexcept
      : account_(std::move(other.account_)),
        resource_(other.resource_),
        amount_(std::exchange(other.amount_, 0)),
        only_here_(other.only_here_) {}
  Charge& operator=(Charge&& other) noexcept {
    if (this != &other) {
      reset();
      account_ = std::move(other.account_);
      resource_ = other.resource_;
      amount_ = std::exchange(other.amount_, 0);
      only_here_ = other.only_here_;
    }
    return *this;
  }
  ~Charge() { reset(); }

  bool take(const std::shared_ptr<Account>& account, Resource resource, uint64_t amount,
            bool only_here = false) {
    reset();
    if (!account->charge(resource, amount, only_here)) return false;
    only_here_ = only_here;
    account_ = account;
    resource_ = resource;
    amount_ = amount;
    return true;
  }

  void reset() {
    if (account_ != nullptr && amount_ != 0) account_->refund(resource_, amount_, only_here_);
    account_.reset();
    amount_ = 0;
  }

 private:
  std::shared_ptr<Account> account_;
  Resource resource_ = Resource::kCount;
  uint64_t amount_ = 0;
  bool only_here_ = false;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_ACCOUNT_H_
